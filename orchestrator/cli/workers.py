"""Commands about worker processes: start, list, wanted, drain, stop. Jobs may run meanwhile."""

from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.errors import UsageError
from orchestrator.cli import completion, units
from orchestrator.cli.console import columns
from orchestrator.cli.session import session

if TYPE_CHECKING:
    from core.ledger.shards import InHand
    from orchestrator.fleet import AtWork
    from orchestrator.scaling import Demand

NO_MILL = "No mill is up either: `spritemill up` starts one, with workers."
_HEAD = (
    *("worker", "state", "order", "host", "pid", "device", "slots"),
    *("renders", "rate", "made", "failures", "heard"),
)
_WANTED = ("class", "device", "jobs", "GPU-seconds", "workers", "wanted")

Ids = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[WORKER]...",
        help="Their ids; none: all.",
        autocompletion=completion.workers,
    ),
]


class State(StrEnum):
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


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
    state: Annotated[list[State] | None, typer.Option(help="Only in this state.")] = None,
) -> None:
    """List the workers that are there, here and on other machines, and what they render.

    $ spritemill workers list
    """
    call = session(context)
    shown = {str(each) for each in state or State} | ({"gone"} if gone else set())
    with call.service() as service:
        found = [each for each in service.roster() if str(each.worker.state) in shown]
        remedy = "`spritemill workers start` starts one." if service.has_broker else NO_MILL
    lines = _table(found) if found else [f"No workers. {remedy}"]
    documents = [{**asdict(each.worker), **_work(each)} for each in found]
    call.console.answer(documents, *lines, brief="\n".join(each.worker.id for each in found))


@group.command()
def wanted(
    context: typer.Context,
    least: Annotated[int, typer.Option("--min", min=0, help="Of a class, at least.")] = 0,
    most: Annotated[int, typer.Option("--max", min=0, help="Of a class, at most.")] = 1000,
) -> None:
    """Tell how many workers the work that waits is worth, for whoever starts and ends them.

    $ spritemill workers wanted --max 8 --quiet
    """
    call = session(context)
    with call.service() as service:
        found = service.demands(least, most)
    total = sum(each.wanted for each in found)
    document = {"wanted": total, "classes": [asdict(each) for each in found]}
    rows = (_wanted_row(each) for each in found)
    lines = columns(_WANTED, rows, right=" ".join(_WANTED[2:]))
    call.console.answer(document, *lines, brief=str(total))


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


def _table(workers: "Sequence[AtWork]") -> list[str]:
    return columns(_HEAD, map(_row, workers), right="pid slots rate made failures")


def _work(at_work: "AtWork") -> dict[str, Any]:
    rendering = [shard._asdict() for shard in at_work.rendering]
    return {"rendering": rendering, "rate": at_work.rate}


def _row(at_work: "AtWork") -> tuple[str, ...]:
    worker = at_work.worker
    return (
        worker.id,
        worker.state,
        worker.order,
        worker.host,
        str(worker.pid),
        worker.device,
        str(worker.slots),
        ", ".join(map(_rendered, at_work.rendering)),
        units.rate(at_work.rate) if at_work.rate else "",
        f"{worker.samples_done:,}",
        f"{worker.failures:,}",
        units.moment(worker.heartbeat_at),
    )


def _rendered(shard: "InHand") -> str:
    return f"{shard.job}/{shard.shard} {100 * shard.progress // shard.samples}%"


def _wanted_row(each: "Demand") -> tuple[str, ...]:
    return (
        each.numerics or "any",
        each.device,
        f"{each.jobs:,}",
        f"{each.gpu_seconds:,.0f}",
        f"{each.workers:,}",
        f"{each.wanted:,}",
    )
