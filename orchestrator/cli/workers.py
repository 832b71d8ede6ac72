"""Commands about worker processes: start, list, drain, stop. Jobs may run meanwhile."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from core.errors import UsageError
from orchestrator.cli import units
from orchestrator.cli.console import columns
from orchestrator.cli.session import session

if TYPE_CHECKING:
    from core.ledger.workers import Worker

NO_MILL = "No mill is up either: `spritemill up` starts one, with workers."
_HEAD = ("worker", "state", "order", "host", "pid", "device", "slots", "made", "rate", "seen")

Ids = Annotated[
    list[str] | None, typer.Argument(metavar="[WORKER]...", help="Their ids; none: all.")
]

group = typer.Typer(no_args_is_help=True, help="Start, list, drain and stop worker processes.")


@group.command()
def start(
    context: typer.Context,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=1000, help="How many.")] = 1,
    gpus: Annotated[
        str, typer.Option(metavar="0,1", help="Give each worker one of these GPUs, in turn.")
    ] = "",
) -> None:
    """Start worker processes on this machine, beside those that run.

    $ spritemill workers start --count 2 --gpus 0,1
    """
    call = session(context)
    with call.service() as service:
        started = service.start_workers(count, _gpus(gpus))
    pids = ", ".join(str(worker["pid"]) for worker in started)
    call.console.answer(started, f"Started {units.count(len(started), 'worker')}: pid {pids}.")


@group.command("list")
def list_(
    context: typer.Context,
    gone: Annotated[bool, typer.Option("--all", help="Also those that are gone.")] = False,
) -> None:
    """List the workers that are there, here and on other machines.

    $ spritemill workers list
    """
    call = session(context)
    with call.service() as service:
        found = [worker for worker in service.workers() if gone or worker.state != "gone"]
        remedy = "`spritemill workers start` starts one." if service.has_broker else NO_MILL
    lines = _table(found) if found else [f"No workers. {remedy}"]
    call.console.answer(found, *lines, brief="\n".join(worker.id for worker in found))


@group.command()
def drain(context: typer.Context, ids: Ids = None) -> None:
    """Let workers finish what they render, and end.

    $ spritemill workers drain
    """
    _order(context, ids, "drain")


@group.command()
def stop(context: typer.Context, ids: Ids = None) -> None:
    """Stop workers within the grace period; unfinished shards go back without penalty.

    $ spritemill workers stop
    """
    _order(context, ids, "stop")


def _order(context: typer.Context, ids: Sequence[str] | None, order: str) -> None:
    call = session(context)
    with call.service() as service:
        told = service.order_workers(ids or None, order)
    line = f"Told {units.count(len(told), 'worker')} to {order}."
    call.console.answer(told, line, brief="\n".join(worker.id for worker in told))


def _gpus(text: str) -> list[int]:
    try:
        return [int(number) for number in text.split(",") if number]
    except ValueError:
        raise UsageError(f"gpus = {text}: whole numbers are needed, as 0,1.") from None


def _table(workers: "Sequence[Worker]") -> list[str]:
    return columns(_HEAD, map(_row, workers), right="pid slots made rate")


def _row(worker: "Worker") -> tuple[str, ...]:
    rate = worker.samples_done / worker.render_seconds if worker.render_seconds else 0.0
    return (
        worker.id,
        worker.state,
        worker.order,
        worker.host,
        str(worker.pid),
        worker.device,
        str(worker.slots),
        f"{worker.samples_done:,}",
        units.rate(rate) if rate else "",
        units.moment(worker.heartbeat_at),
    )
