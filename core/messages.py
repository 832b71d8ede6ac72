"""What the orchestrator says to the workers: one task, its payload, and the broker's set-up."""

from dataclasses import asdict, dataclass
from typing import Any

from core.settings import Settings

RENDER = "spritemill.render"
ANY_QUEUE = "render"


@dataclass(frozen=True, slots=True)
class RenderHint:
    """A hint that this attempt of a shard may be claimed. The ledger has the last word."""

    job: str
    shard: int
    attempt: int

    def payload(self) -> dict[str, Any]:
        return asdict(self)


def queue(numerics: str | None) -> str:
    """The queue of a numerics class; every worker hears the general one, too."""
    return f"{ANY_QUEUE}.{numerics}" if numerics else ANY_QUEUE


def celery_options(settings: Settings, broker_url: str) -> dict[str, Any]:
    """Celery settings that publisher and workers must share.

    Acknowledged early and never retried by Celery: the ledger's lease recovers what is lost, and a
    redelivered message would only meet that lease. No result backend; JSON only.
    """
    return {
        "broker_url": broker_url,
        "broker_transport_options": {
            "global_keyprefix": settings.broker_prefix,
            "socket_timeout": 10.0,
            "socket_connect_timeout": 5.0,
            "health_check_interval": 15,
        },
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,  # or workers end after three quarters of an hour
        "broker_channel_error_retry": True,  # or when the broker is out of memory
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
        "task_acks_late": False,
        "task_default_queue": ANY_QUEUE,
        "task_create_missing_queues": True,
        "worker_disable_prefetch": True,
        "worker_prefetch_multiplier": 1,
        "worker_enable_remote_control": False,
        "worker_hijack_root_logger": False,
    }
