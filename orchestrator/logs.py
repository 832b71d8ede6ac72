"""Logs of the orchestrator: one JSON event a line."""

import logging
from pathlib import Path
from typing import TextIO

import structlog
from structlog.typing import Processor

from orchestrator import home


def configure(level: str, out: TextIO | Path) -> None:
    """Send structlog's events and everybody else's log records to a stream or a file."""
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
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    for old in root.handlers:
        old.close()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("alembic").setLevel(logging.WARNING)
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


def _handler(out: TextIO | Path) -> logging.Handler:
    if not isinstance(out, Path):
        return logging.StreamHandler(out)
    home.make(out.parent)
    return logging.FileHandler(out, encoding="utf-8", delay=True)
