"""Which shot of a film is shown after which step."""

import numpy as np
from numpy.typing import NDArray

from workers.commands.animate import _frame

STEPS = 6
REEL = [np.full((2, 8, 8, 4), step, dtype=np.uint8) for step in range(STEPS)]
MADE = np.full((2, 8, 8, 4), 99, dtype=np.uint8)


def finished(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return images + 100


def shown(step: int, show: str = "noisy", reel: list[NDArray[np.uint8]] = REEL) -> int:
    frame = _frame(reel, MADE, step - STEPS, "guess" if show == "guess" else "noisy", finished)
    assert frame.shape == MADE.shape
    return int(frame[0, 0, 0, 0])


def test_frames_are_the_noise_then_what_each_step_left_then_the_sprites() -> None:
    assert [shown(step) for step in range(STEPS + 1)] == [0, 1, 2, 3, 4, 5, 199]


def test_guesses_are_finished_as_the_sprites_are() -> None:
    assert [shown(step, "guess") for step in (0, 3, STEPS)] == [100, 103, 199]


def test_sprites_that_start_later_wait() -> None:
    assert [shown(step, reel=REEL[2:]) for step in range(STEPS)] == [2, 2, 2, 3, 4, 5]
