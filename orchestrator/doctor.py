"""The health of each part, with the remedy for what is ill."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core import torch_probe
from core.errors import SpritemillError, StoreError, UnreachableError
from core.ledger import Ledger
from core.settings import Settings
from orchestrator.disk import free_bytes
from orchestrator.fleet import missing, silent_after

if TYPE_CHECKING:
    from core.ledger.workers import Worker

_LEAST_FREE_BYTES = 2**30
_TORCH_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Health:
    """How one part is; `seconds` is what it took to find out."""

    part: str
    ok: bool
    detail: str
    remedy: str
    seconds: float


def examine(
    settings: Settings, ledger: Callable[[], Ledger | None], broker_url: Callable[[], str]
) -> Iterator[Health]:
    """Examine part by part. `broker_url` is empty where no mill keeps its private broker up."""
    checks: dict[str, Callable[[], str]] = {
        "ledger": lambda: _ledger(ledger()),
        "broker": lambda: _broker(broker_url()),
        "store": lambda: _store(settings),
        "workers": lambda: _workers(ledger(), settings, bool(broker_url())),
        "model": _model,
        "disk": lambda: _disk(settings),
        "torch": _torch,
    }
    for part, check in checks.items():
        started = time.monotonic()
        try:
            detail, ok, remedy = check(), True, ""
        except SpritemillError as error:
            detail, ok, remedy = error.message, False, error.remedy
        except Exception as error:  # noqa: BLE001  # however it is broken, the others are told of
            first = str(error).strip().partition("\n")[0]
            detail, ok, remedy = f"unexpected {type(error).__name__}: {first}", False, ""
        yield Health(part, ok, detail, remedy, time.monotonic() - started)


def _ledger(ledger: Ledger | None) -> str:
    if ledger is None:
        return "empty yet: the first job makes it"
    from core.ledger import jobs

    jobs.list(ledger, limit=1)
    return f"{ledger.engine.dialect.name} answers, and its schema is this version's"


def _broker(url: str) -> str:
    from orchestrator import broker

    if not url:
        return f"private, started with the mill: {broker.binary()}"
    broker.check(url)
    return "it answers"


def _store(settings: Settings) -> str:
    from core import storage

    storage.prove(settings)
    return f"{settings.store} can be written, read and deleted"


def _workers(ledger: Ledger | None, settings: Settings, up: bool) -> str:
    from core.ledger import workers

    live = workers.live(ledger, silent_after(settings)) if ledger else []
    if ledger and live:
        _check_classes(ledger, live)
    if live:
        slots = sum(worker.slots for worker in live)
        return f"{len(live)} live with {slots} slots: {', '.join(w.device for w in live[:4])}"
    if not up:
        return "none runs; the mill starts its own"
    raise UnreachableError("no worker is alive.", remedy="Start one: spritemill workers start.")


def _check_classes(ledger: Ledger, live: "Sequence[Worker]") -> None:
    """Raises UnreachableError for a job that none of the workers that are there may take."""
    from core.ledger import jobs

    for job in jobs.runnable(ledger):
        if wanted := missing(ledger, job, live):
            raise UnreachableError(f"job {job.id} waits for {wanted}.")


def _model() -> str:
    from orchestrator import models

    found = models.bundled()
    return f"{found.spec.name}, weights {found.weights[:16]}"


def _disk(settings: Settings) -> str:
    folder = Path(settings.store) if not settings.store.startswith("s3://") else settings.home
    free = free_bytes(folder)
    if free < _LEAST_FREE_BYTES:
        raise StoreError(
            f"{folder}: {free / 1e9:.1f} GB free.", remedy="Free space, or set store_url."
        )
    return f"{free / 1e9:.0f} GB free for {folder}"


def _torch() -> str:
    facts = torch_probe.ask(_TORCH_SECONDS)["facts"]
    return ", ".join(f"{name} {value}" for name, value in facts.items())
