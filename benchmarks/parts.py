"""Whether naming a part shows it: `python -m benchmarks.parts SPRITES`, the sprites with captions.

A classifier of parts learns from heroes composed of the layers of a paper doll, and looks at heroes
that the bundled model draws of one word each, or of two, which must both be seen. It is right about
a word as often as it finds the part on composed heroes that it never saw, at 5 % of false alarms.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from core import settings, weights
from core.evaluation.encoder import Network
from core.evaluation.learning import varied
from core.request import load
from core.request.plan import Shard, plan
from core.sprites.alpha import from_rgba
from core.training.dataset import read
from core.training.examples import Examples
from core.training.recipe import DUNGEON
from workers import renderer
from workers.render import Unwatched, render_samples

WORDS = (
    "boots", "hair", "glove", "shield", "cloak", "pants", "robe", "sword", "skirt", "horn",
    "hood", "shirt", "axe", "staff", "club", "rod", "helm", "mace", "buckler", "flail",
    "pigtail", "belt", "feather", "dagger", "glaive", "jacket", "spear", "crown", "turban",
    "trident",
)  # fmt: skip
"""The commonest that name a part of a hero, not a colour, a people or a single costume."""

PAIRS = (("robe", "shield"), ("sword", "cloak"), ("skirt", "staff"), ("hood", "axe"))
PROMPTS = (*((word,) for word in WORDS), *PAIRS)

SAMPLES = 48
FALSE_ALARMS = 0.05
FOUND = 0.8
"""Of composed heroes with a part, the share on which a classifier worth asking finds it."""
ASKED = 20
"""So many of the commonest that it finds are what counts."""
_BATCH, _STEPS, _RATE, _GRAIN = 64, 4000, 2e-3, 0.15
_GROUPS = ("composed with it", "drawn with it", "drawn without a word")
_SEEN, _UNSEEN = (1, 3, 4, 5), (2,)


def main() -> None:
    folder = Path(next(arg for arg in sys.argv[1:] if not arg.startswith("-")))
    classifier = learnt(*heroes(folder, _SEEN))
    images, told = heroes(folder, _UNSEEN)
    found = looked_at(classifier, images)
    limits = np.array([
        np.quantile(found[told[:, word] == 0, word], 1 - FALSE_ALARMS)
        for word in range(len(WORDS))
    ])  # fmt: skip
    asked = [{"class": "hero", "text": " and ".join(prompt)} for prompt in PROMPTS]
    drawn = looked_at(classifier, sprites(asked)).reshape(len(PROMPTS), SAMPLES, -1)
    silent = looked_at(classifier, sprites([{"class": "hero"}]))
    rows = []
    for prompt, seen in zip(PROMPTS, drawn, strict=True):
        parts = [WORDS.index(word) for word in prompt]
        groups = (found[told[:, parts].all(axis=1)], seen, silent)
        shares = [float((each[:, parts] > limits[parts]).all(axis=1).mean()) for each in groups]
        rows.append({"prompt": " and ".join(prompt), **dict(zip(_GROUPS, shares, strict=True))})
    uses = dict(zip(WORDS, told.sum(axis=0), strict=True))
    tell(sorted(rows, key=lambda row: -uses.get(row["prompt"], 0)))


def heroes(folder: Path, seeds: tuple[int, ...]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Heroes composed with each of the seeds [N, 32, 32, 4], and the words said of each [N, W]."""
    recipe = replace(DUNGEON, classes={}, least_uses=1)
    images, told = zip(*(_told(read(folder, recipe, seed)) for seed in seeds), strict=True)
    return np.concatenate(images), np.concatenate(told)


def _told(examples: Examples) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    place = {examples.vocabulary.index(word): column for column, word in enumerate(WORDS)}
    told = np.zeros((len(examples.images), len(WORDS)), dtype=np.float32)
    for row, words in enumerate(examples.words):
        told[row, [place[word] for word in words if word in place]] = 1
    return examples.images, told


def learnt(images: NDArray[np.uint8], told: NDArray[np.float32]) -> Network:
    """A classifier of each word by itself, shown sprites moved, in other colours and with grain."""
    torch.manual_seed(0)
    network = Network(len(WORDS)).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, _STEPS)
    draw, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    rarer = torch.from_numpy((1 - told.mean(axis=0)) / told.mean(axis=0))
    for _ in range(_STEPS):
        rows = draw.choice(len(images), _BATCH)
        grain = torch.rand(_BATCH, generator=generator) * _GRAIN
        _, logits = network(varied(images[rows], grain, generator))
        loss = functional.binary_cross_entropy_with_logits(
            logits, torch.from_numpy(told[rows]), pos_weight=rarer
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


@torch.inference_mode()
def looked_at(network: Network, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How sure the classifier is of each word [N, W]."""
    logits: list[Tensor] = [
        network(torch.from_numpy(from_rgba(images[start : start + 256])))[1]
        for start in range(0, len(images), 256)
    ]
    return torch.cat(logits).numpy()


def sprites(contexts: list[dict[str, str]]) -> NDArray[np.uint8]:
    """The first sprites of each context, by the bundled model's defaults."""
    made = plan(
        load.check({"seed": 0, "samples": SAMPLES, "contexts": contexts}),
        weights.read_spec(weights.bundled()),
    )
    wanted = list(made.samples(Shard(0, 0, made.total)))
    return render_samples(
        made, wanted, renderer.load(weights.bundled(), settings.load()), Unwatched()
    )


def tell(rows: list[dict[str, Any]]) -> None:
    """`rows` are of words, the commonest first, then of pairs."""
    names = list(rows[0])
    counted = [row for row in rows if row["prompt"] in WORDS and row[names[1]] >= FOUND][:ASKED]
    title = f"mean of the {len(counted)} commonest words that it finds"
    means = {name: float(np.mean([row[name] for row in counted])) for name in names[1:]}
    rows = [*rows, {names[0]: title, **means}]
    if "--json" in sys.argv:
        print(json.dumps(rows))
        return
    print(" | ".join(names))
    for row in rows:
        print(" | ".join(x if isinstance(x, str) else f"{x:.0%}" for x in row.values()))


if __name__ == "__main__":
    main()
