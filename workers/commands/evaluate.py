"""Evaluate a model or a dataset: `python -m workers.commands.evaluate < options.json`.

Prints events as JSON lines: `progress`, then `done` with the files that were written, or `error`.
"""

import json
import sys
from pathlib import Path
from typing import Any

from core.dataset import png
from core.errors import SpritemillError, UsageError
from core.evaluation.comparison import Comparison
from core.evaluation.encoder import bundled_encoder
from core.evaluation.gallery import every_pair, gallery, pair_table
from core.evaluation.options import Options
from core.evaluation.page import page
from core.evaluation.real import UNSEEN, Plain, named, parts, recipe_of, shown_as
from core.evaluation.report import Beside, Report, Trial
from core.request.spec import Sampling
from core.storage.files import disk_errors, whole_file
from core.training import arrays
from core.training.examples import Examples
from core.training.recipe import DUNGEON
from workers.commands.subjects import Drawer, dataset_size, drawer, read_dataset

JSON_FILE, PAGE_FILE = "evaluation.json", "evaluation.html"
PAIRS_FILE, TABLE_FILE = "nearest.png", "nearest.csv"


def evaluate(options: Options) -> list[Path]:
    """Write the evaluation; its files. Raises SpritemillError."""
    model = drawer(options)
    if model:
        for sampling in (None, *_asked(options, model)):
            model.check(options, sampling)
    _tell("real sprites", 0, 1)
    real, beside = _real(options, model.spec.size if model else dataset_size(options))
    drawn = model.draw(options, _tell) if model else read_dataset(options, _tell)
    _tell("measuring", 0, 1)
    training, held_out, unseen = (shown_as(drawn.images, part) for part in real)
    comparison = Comparison(bundled_encoder(), training, held_out, unseen)
    found = comparison(drawn.images, drawn.classes)
    trials = _trials(options, model, comparison) if model else ()
    report = Report(drawn.subject, beside, found.overall, found.of_class, trials)
    rows = gallery(drawn.images, drawn.classes, training, found)
    out = Path(options.out)
    files = named(Path(options.real), real[0])
    written = {
        JSON_FILE: report.encode().encode(),
        PAGE_FILE: page(report, rows).encode(),
        PAIRS_FILE: png.encode(every_pair(drawn.images, training, found)),
        TABLE_FILE: pair_table(drawn.classes, training, files, found).encode(),
    }
    with disk_errors(str(out)):
        for name, data in written.items():
            with whole_file(out / name) as file:
                file.write(data)
    return [out / name for name in written]


def _real(options: Options, size: int) -> tuple[tuple[Examples, Examples, Examples], Beside]:
    """What is learnt from, what is held out, and what the encoder never saw, in squares of `size`
    pixels; and their counts. Raises UsageError.
    """
    folder = Path(options.real)
    recipe = recipe_of(folder, options.recipe, size)
    if options.classes and (recipe or not arrays.find(folder)):
        raise UsageError(
            f"classes = {','.join(options.classes)}: only arrays have classes without names.",
            remedy="Leave it out.",
        )
    how = recipe or Plain(size, options.classes)
    training, held_out = parts(folder, how, options.held_out, options.seed)
    unseen = parts(folder, recipe, UNSEEN)[1] if recipe is DUNGEON else held_out
    beside = Beside(
        folder=folder.name,
        recipe="dungeon" if recipe is DUNGEON else "plain",
        held_out_share=options.held_out,
        training=len(training.images),
        held_out=len(held_out.images),
        unseen=len(unseen.images),
    )
    return (training, held_out, unseen), beside


def _trials(options: Options, model: Drawer, comparison: Comparison) -> tuple[Trial, ...]:
    """Each sampler with each number of steps."""
    trials = []
    for sampling in _asked(options, model):
        drawn = model.draw(options, _tell, sampling)
        measures = comparison(drawn.images, drawn.classes).overall
        trials.append(Trial(str(sampling.sampler), sampling.steps or 0, measures))
    return tuple(trials)


def _asked(options: Options, model: Drawer) -> list[Sampling]:
    samplers = options.samplers or (model.spec.defaults.sampler,)
    return [Sampling(sampler=name, steps=steps) for name in samplers for steps in options.steps]


def _tell(state: str, done: int, total: int) -> None:
    _say(event="progress", state=state, done=done, total=total)


def _say(**fields: Any) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def main() -> int:
    """The exit code."""
    asked = json.load(sys.stdin)
    try:
        written = evaluate(
            Options(
                **{**asked, "steps": tuple(asked["steps"]), "samplers": tuple(asked["samplers"])}
            )
        )
    except SpritemillError as error:
        _say(event="error", code=error.exit_code, message=error.message, remedy=error.remedy)
        return error.exit_code
    _say(event="done", files=[str(path) for path in written])
    return 0


if __name__ == "__main__":
    sys.exit(main())
