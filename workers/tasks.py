"""The one task. It is imported in the parent of a worker, once for all children; torch waits."""

import structlog

from core.errors import SpritemillError
from core.messages import RENDER, RenderHint
from workers.celery import app
from workers.slot import Slot

log = structlog.get_logger(__name__)
_slots: list[Slot] = []


@app.task(name=RENDER)
def render(job: str, shard: int, attempt: int) -> None:
    """Try to claim what the hint names, and render it. A hint that is lost comes again."""
    try:
        _slot().take(RenderHint(job, shard, attempt))
    except SpritemillError as error:
        # not raised: with its traceback it would go to the parent as more bytes than one write
        # takes, and a parent that stops when it has read the first of them loses the rest
        told = log.bind(job=job, shard=shard, error=error.message, remedy=error.remedy)
        told.warning("hint.left")
        if not error.retryable:  # no hint can be taken up here, so others must hear them
            app.notice.give(app.settings.grace_seconds)


def _slot() -> Slot:
    """This child's slot, made at its first task."""
    if not _slots:
        _slots.append(Slot(app.settings, app.identity, app.notice))
    return _slots[0]
