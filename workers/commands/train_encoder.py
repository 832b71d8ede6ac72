"""Train the encoder and take the training prints: `python -m workers.commands.train_encoder DATA`.

Both are written beside the bundled model's weights, unless --out says otherwise. Prints JSON lines.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from core import weights
from core.errors import SpritemillError
from core.evaluation.encoder import load_encoder, save_encoder
from core.evaluation.learning import learn
from core.evaluation.neighbours import Neighbours, prints, save_neighbours
from core.evaluation.real import UNSEEN, named, parts
from core.training.recipe import DUNGEON

_LOG_STEPS = 100
_WEIGHTS = weights.bundled().parent


def main(
    data: Annotated[Path, typer.Argument(help="Folder with metadata.csv and sprites.")],
    out: Annotated[Path, typer.Option(help="Folder for both files.")] = _WEIGHTS,
    images: Annotated[int, typer.Option(min=1, help="Sprites to show it.")] = 160_000,
    held_out: Annotated[float, typer.Option(help="The bundled model's held-out share.")] = 0.02,
    seed: Annotated[int, typer.Option(min=0, help="Other seed, other encoder.")] = 0,
) -> None:
    """Train on the part of a collection that tests leave alone, and measure on the rest."""
    learnt, unseen = parts(data, DUNGEON, UNSEEN)
    network = learn(learnt, images, seed, _tell)
    path = out / "encoder-32.safetensors"
    save_encoder(path, network, learnt.classes)
    chances = load_encoder(path)(unseen.images).probabilities
    right = chances.argmax(axis=1) == unseen.labels
    of_class = {
        name: {"sprites": int(rows.sum()), "right": int(right[rows].sum())}
        for label, name in enumerate(unseen.classes)
        if (rows := unseen.labels == label).any()
    }
    real = ~unseen.composed
    _say(event="encoder", accuracy=float(right[real].mean()), sprites=int(real.sum()),
         trained_on=len(learnt.images), of_class=of_class)  # fmt: skip
    model, _ = parts(data, DUNGEON, held_out)
    names = named(data, model)
    classes = [model.classes[label] for label in model.labels]
    save_neighbours(
        out / "neighbours-32.safetensors", Neighbours(prints(model.images), names, classes)
    )
    _say(event="neighbours", sprites=len(names), named=int(np.count_nonzero(names)))


def _tell(step: int, loss: float) -> None:
    if step % _LOG_STEPS == 0:
        _say(event="step", step=step, loss=round(loss, 4))


def _say(**fields: Any) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        typer.run(main)
    except SpritemillError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
