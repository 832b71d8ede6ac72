"""The mill: broker, ledger, duties and workers of one folder, for as long as it is entered.

With an external broker and database this is the orchestrator's service, and nothing more.
"""

import os
import secrets
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Self

import filelock
import structlog

from core import processes, storage
from core.errors import ConflictError
from core.home import make
from core.ledger import Ledger, connect
from core.ledger.upgrade import upgrade
from core.settings import Settings
from orchestrator import broker, mill_file, models
from orchestrator.broker import PrivateBroker
from orchestrator.dispatcher import Dispatcher
from orchestrator.duty import Duty
from orchestrator.finalizer import Finalizer
from orchestrator.leadership import Leadership
from orchestrator.mill_file import Running
from orchestrator.publisher import Publisher
from orchestrator.reconciler import Reconciler, bury_dead
from orchestrator.service import Service
from orchestrator.sweeper import Sweeper
from orchestrator.worker_processes import WorkerProcesses

_POLL_SECONDS = 0.02

log = structlog.get_logger(__name__)


class Mill:
    """`settings` and `service` are of the running mill, with the broker that it really has."""

    def __init__(self, settings: Settings, workers: int) -> None:
        self.settings = settings
        self._wanted = workers
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start it all. Raises ConflictError when another mill has the folder, UnreachableError."""
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def ensure_workers(self, count: int) -> None:
        """Have so many worker processes: more are started, surplus ones finish and leave."""
        self._workers.wanted = count
        self._supervision.poke()

    def _start(self, stack: ExitStack) -> None:
        home = self.settings.home
        reach(self.settings)
        self._lock(stack, home)
        ledger = self._open_ledger(stack)
        if not self.settings.store_url:
            storage.prove(self.settings)
        if not self.settings.embedded:
            models.publish(storage.connect(self.settings), ledger)
        self._open_broker(stack)
        self._start_duties(stack, ledger)
        self.service = Service(self.settings, alarm=self._workers.alarm)
        stack.callback(self.service.close)
        us = Running(os.getpid(), processes.started(), self.settings.broker_url)
        mill_file.write(home, us)
        stack.callback(mill_file.remove, home)
        log.info("mill.up", home=str(home), workers=self._wanted)

    def _lock(self, stack: ExitStack, home: Path) -> None:
        make(home)
        lock = filelock.FileLock(home / "mill.lock", timeout=0)
        try:
            stack.enter_context(lock)
        except filelock.Timeout:
            other = mill_file.find(home)
            who = f"the mill with pid {other.pid}" if other else "another mill"
            raise ConflictError(
                f"home = {home}: {who} is at work there.",
                remedy="`spritemill submit` hands it requests, `spritemill down` stops it.",
            ) from None

    def _open_ledger(self, stack: ExitStack) -> Ledger:
        if not self.settings.database_url:
            upgrade(self.settings.ledger_url)
        ledger = connect(self.settings.ledger_url)
        stack.callback(ledger.close)
        bury_dead(ledger, self.settings, free=True)
        return ledger

    def _open_broker(self, stack: ExitStack) -> None:
        if not self.settings.embedded:
            return
        private = PrivateBroker(self.settings.home, self.settings.logs / "broker.log")
        private.start()
        stack.callback(private.stop)
        keeping = Duty("broker", private.step)
        keeping.start()
        stack.callback(keeping.stop)
        self.settings = replace(self.settings, broker_url=private.url)

    def _start_duties(self, stack: ExitStack, ledger: Ledger) -> None:
        settings = self.settings
        publisher = stack.enter_context(Publisher(settings, settings.broker_url))
        leadership = Leadership(ledger, _holder(settings))
        leadership.step()
        stack.callback(leadership.resign)
        self._workers = WorkerProcesses(settings, self._wanted)
        self._supervision = Duty("workers", self._workers.step)

        def leads() -> bool:
            return leadership.held

        duties = {
            "dispatch": Dispatcher(ledger, publisher, settings).step,
            "reconcile": Reconciler(ledger, settings).step,
            "finalize": Finalizer(ledger, storage.connect(settings), leads).step,
            "sweep": Sweeper(ledger, storage.connect(settings), leads).step,
        }
        deciding = [Duty(name, leadership.guard(step)) for name, step in duties.items()]
        for duty in (Duty("lead", leadership.step), *deciding):
            duty.start()
            stack.callback(duty.stop)
        stack.callback(bury_dead, ledger, settings)
        self._supervision.start()
        stack.callback(self._supervision.stop)
        stack.callback(self._stop_workers)

    def _stop_workers(self) -> None:
        """Ask all to leave and wait, while duties and broker are still there for them."""
        self.ensure_workers(0)
        while not self._workers.over:
            time.sleep(_POLL_SECONDS)


def reach(settings: Settings) -> None:
    """Tell what is away before anything is written in the home. Raises UnreachableError."""
    if not settings.embedded:
        broker.check(settings.broker_url)
    if settings.database_url:
        connect(settings.ledger_url).close()
    if settings.store_url:
        storage.prove(settings)


def _holder(settings: Settings) -> str:
    """Who leads. A folder's mill succeeds itself: its lock proves that the last one is dead."""
    if settings.ledger_url.startswith("sqlite"):
        return str(settings.home)[-200:]
    return secrets.token_hex(8)
