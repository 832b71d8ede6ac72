"""A worker with a faulty fake renderer: `python -m tests.integration.workers.faulty`.

FAULTS in the environment is JSON: by a sample's noise key, what happens when it is drawn: `raise`
an error, `kill` the process at once, or run out of `memory`. Each tile that is drawn is logged.
"""

import json
import os
import signal
from collections.abc import Callable, Sequence

import numpy as np
import structlog
from numpy.typing import NDArray

from core.request.spec import Request
from core.sprites.given import Given
from workers import __main__ as program
from workers import fake_renderer
from workers.fake_renderer import FakeRenderer

_FAULTS: dict[str, str] = json.loads(os.environ["FAULTS"])

log = structlog.get_logger(__name__)


class FaultyRenderer(FakeRenderer):
    """Fails at the noise keys in FAULTS, alone or in whatever tile."""

    def render(
        self,
        contexts: NDArray[np.float32],
        negatives: NDArray[np.float32] | None,
        keys: Sequence[bytes],
        request: Request,
        on_step: Callable[[], None],
        given: Given | None = None,
    ) -> NDArray[np.uint8]:
        for key in keys:
            _fail(_FAULTS.get(key.hex(), ""))
        images = super().render(contexts, negatives, keys, request, on_step, given)
        log.info("tile.drawn")
        return images


def _fail(how: str) -> None:
    if how == "raise":
        raise ArithmeticError("the sprite is not finite")
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "memory":
        raise MemoryError("no 4 GiB in one piece")


if __name__ == "__main__":
    fake_renderer.FakeRenderer = FaultyRenderer  # type: ignore[misc]  # the children inherit it
    os._exit(program.main())
