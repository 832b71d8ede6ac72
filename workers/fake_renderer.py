"""A fake renderer: seeded blocks of colour at a set pace, to test scheduling without a model."""

import hashlib
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from core.request.spec import Request
from core.sprites.given import Given

_BLOCKS = 8
_STEPS = 8


class FakeRenderer:
    """Sprites of 8 x 8 coloured blocks, each a function of its noise key alone."""

    tile = 32

    def __init__(self, size: int, rate: float) -> None:
        self._size = size
        self._rate = rate

    def render(
        self,
        contexts: NDArray[np.float32],
        negatives: NDArray[np.float32] | None,  # noqa: ARG002  # a fake steers nowhere
        keys: Sequence[bytes],
        request: Request,  # noqa: ARG002
        on_step: Callable[[], None],
        given: Given | None = None,  # noqa: ARG002
    ) -> NDArray[np.uint8]:
        pause = len(contexts) / self._rate / _STEPS
        due = time.monotonic()
        for _ in range(_STEPS):
            due += pause
            if (left := due - time.monotonic()) > 0:
                time.sleep(left)
            on_step()
        return np.stack([_sprite(key, self._size) for key in keys])


def _sprite(key: bytes, size: int) -> NDArray[np.uint8]:
    seeded = hashlib.shake_128(key).digest(_BLOCKS * _BLOCKS * 4)
    blocks = np.frombuffer(seeded, dtype=np.uint8).reshape(_BLOCKS, _BLOCKS, 4).copy()
    blocks[..., 3] = np.where(blocks[..., 3] < 128, 0, 255)
    blocks[blocks[..., 3] == 0] = 0
    scale = -(-size // _BLOCKS)
    return blocks.repeat(scale, axis=0).repeat(scale, axis=1)[:size, :size]
