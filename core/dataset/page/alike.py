"""Near-duplicates across a whole dataset, by the prints that its shards' parts brought along."""

from pathlib import Path

import numpy as np

from core.dataset.index import parquet
from core.dataset.page.facts import Facts
from core.sprites.duplicates import find_near_duplicates

SEARCHED = 100_000
"""In larger datasets they are not sought while a job is finished: it would hold up the others."""
_GROUPS = 12


def find_alike(facts: Facts, prints: Path, index: Path) -> None:
    """Add the groups of sprites whose prints differ by less than the rule `apart`.

    Means differ by no more than the pixels do: but for their rounding to whole numbers, all
    near-duplicates are among these.
    """
    rules = facts.plan.request.quality
    if rules is None or rules.apart is None or not 0 < facts.manifest.samples <= SEARCHED:
        return
    if prints.stat().st_size != facts.manifest.samples * 256:
        return
    images = np.memmap(prints, dtype=np.uint8, mode="r").reshape(-1, 8, 8, 4)
    groups = find_near_duplicates(images, rules.apart, premultiplied=True)
    facts.alike = sum(len(group) - 1 for group in groups)
    if groups:
        with parquet(index) as file:
            keys = file.read(columns=["key"])["key"]
        facts.alike_groups = [
            [keys[place].as_py() for place in group] for group in groups[:_GROUPS]
        ]
