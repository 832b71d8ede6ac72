"""Sending hints to the workers, and asking the broker how many still wait."""

from typing import Self

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from core.messages import RENDER, RenderHint, celery_options
from core.settings import Settings
from orchestrator import broker


class Publisher:
    """One thread's way to the broker. Raises UnreachableError wherever it does not answer."""

    def __init__(self, settings: Settings, broker_url: str) -> None:
        self._url = broker_url
        self._prefix = settings.broker_prefix
        self._app = Celery("spritemill", set_as_current=False)
        self._app.conf.update(celery_options(settings, broker_url))
        self._client = broker.client(broker_url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._app.close()
        self._client.close()

    def send(self, hint: RenderHint, queue: str) -> None:
        try:
            self._app.send_task(RENDER, kwargs=hint.payload(), queue=queue, retry=False)
        except (OperationalError, redis.RedisError) as error:
            raise broker.unreachable(self._url, error) from error

    def waiting(self, queue: str) -> int:
        """Messages that no worker has taken yet."""
        try:
            return int(self._client.llen(self._prefix + queue))
        except redis.RedisError as error:
            raise broker.unreachable(self._url, error) from error
