"""The Celery application of the workers."""

from celery import Celery

from core import messages
from core import settings as configuration
from core.errors import UsageError
from workers.identity import Identity
from workers.notice import Notice

_START_SECONDS = 60.0
"""A busy machine may take long to fork a child."""


class WorkerApp(Celery):
    """Celery, with what a worker's parent leaves to its children when it forks them."""

    settings: configuration.Settings
    notice: Notice
    identity: Identity


def make(settings: configuration.Settings) -> WorkerApp:
    """Raises UsageError when no broker is named: a worker has no broker of its own."""
    if not settings.broker_url:
        raise UsageError(
            "broker_url is empty: a worker must be told where its broker is.",
            remedy="Set SPRITEMILL_BROKER_URL, or let `spritemill run` or `up` start workers.",
        )
    made = WorkerApp("spritemill", include=["workers.tasks"])
    made.conf.update(
        messages.celery_options(settings, settings.broker_url),
        worker_concurrency=settings.slots,
        worker_pool="prefork",
        worker_proc_alive_timeout=_START_SECONDS,
        worker_redirect_stdouts=False,
    )
    made.settings = settings
    made.notice = Notice()
    return made


app = make(configuration.load())
