"""Logs: one event a line, as JSON; at a terminal, for eyes."""

import logging
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

import structlog
from structlog.typing import Processor

from core import home

_MOST_BYTES = 10_000_000
_KEPT = 3
_TALKERS = ("alembic", "botocore", "celery.app.trace", "celery.worker.strategy", "urllib3")
"""They tell what our own events tell better, and some where credentials were found."""


def configure(level: str, out: TextIO | Path) -> None:
    """Send structlog's events and everybody else's log records to a stream or a file.

    A file is begun anew when it is full, beside the last three: no other process may write to it.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    handler = _handler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _last(out),
            ],
        )
    )
    root = logging.getLogger()
    for old in root.handlers:
        old.close()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for talker in _TALKERS:
        logging.getLogger(talker).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    logging.raiseExceptions = False  # a log that cannot be written, on a full disk, is no news
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _last(out: TextIO | Path) -> Processor:
    for_eyes = not isinstance(out, Path) and out.isatty()
    return structlog.dev.ConsoleRenderer() if for_eyes else structlog.processors.JSONRenderer()


def _handler(out: TextIO | Path) -> logging.Handler:
    if not isinstance(out, Path):
        return logging.StreamHandler(out)
    return _LateFile(out, maxBytes=_MOST_BYTES, backupCount=_KEPT, encoding="utf-8", delay=True)


class _LateFile(RotatingFileHandler):
    """A file that is made, with its folder, for the first line."""

    def _open(self) -> TextIOWrapper:
        home.make(Path(self.baseFilename).parent)
        return super()._open()
