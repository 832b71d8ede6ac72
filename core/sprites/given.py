"""What is given of sprites before they are drawn."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Given:
    """Pictures [N, S, S, 4] to start from, and the pixels [N, S, S] of them that are kept.

    `share` in (0, 1] is the share of the sampling's steps that is walked: how much is drawn anew.
    """

    images: NDArray[np.uint8]
    keep: NDArray[np.bool_]
    share: float
