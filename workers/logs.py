"""Logs of a worker: one event a line on stderr, for machines as JSON, at a terminal for eyes."""

import logging
import sys

import structlog
from structlog.typing import Processor

_TALKERS = ("celery.app.trace", "celery.worker.strategy")
"""They tell of every message what the events of a shard tell better."""


def configure(level: str) -> None:
    """Send structlog's events and everybody else's log records through one formatter."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    for_eyes = sys.stderr.isatty()
    last: Processor = (
        structlog.dev.ConsoleRenderer() if for_eyes else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    logging.captureWarnings(capture=True)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for talker in _TALKERS:
        logging.getLogger(talker).setLevel(logging.WARNING)
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
