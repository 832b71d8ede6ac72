"""Which part of a split each sprite goes to.

Every part gets its share of every context, as near as whole sprites allow, so that a test meets
what was trained on and few contexts suffice. Near-duplicates go together. Nothing is drawn by
chance: the order is that of hashes, so the same sprites are split alike, wherever that is done.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def split(
    contexts: NDArray[np.uint64],
    pixels: NDArray[np.uint64],
    groups: Sequence[Sequence[int]],
    shares: Sequence[float],
) -> NDArray[np.uint8]:
    """The part [N] of each sprite, by hashes of its context and of its pixels.

    A group of near-duplicates, ascending, stands in the place of its first sprite. One after
    another goes to the part that lacks most for its share.
    """
    weight = np.ones(len(contexts), dtype=np.int64)
    leader = np.arange(len(contexts))
    for group in groups:
        weight[group[0]], weight[group[1:]] = len(group), 0
        leader[group] = group[0]
    order = np.lexsort((np.arange(len(contexts)), pixels, contexts))
    order = order[weight[order] > 0]
    parts = np.zeros(len(contexts), dtype=np.uint8)
    held, seen = [0] * len(shares), 0
    for place, count in zip(order.tolist(), weight[order].tolist(), strict=True):
        seen += count
        lacks = [share * seen - have for share, have in zip(shares, held, strict=True)]
        part = lacks.index(max(lacks))
        held[part] += count
        parts[place] = part
    return parts[leader]
