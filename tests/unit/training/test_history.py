"""A run's losses, as a file and as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from core.sprites import sheet
from core.training import noising, plot
from core.training.blueprint import draft
from core.training.examples import Examples
from core.training.history import History, Moment
from core.training.options import Options

MOMENTS = [Moment(50 * i, 1600 * i, 2.5 * i, 1e-3, 1 / i) for i in range(1, 6)]


def test_a_resumed_run_goes_on_where_its_checkpoint_is(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    first = History(path)
    for moment in MOMENTS:
        first.add(moment)
    again = History(path, step=150)
    assert again.moments == MOMENTS[:3]
    again.add(Moment(200, 6400, 9.0, 1e-3, 0.2, 0.3))
    assert History(path, step=10**9).moments == [
        *MOMENTS[:3],
        Moment(200, 6400, 9.0, 1e-3, 0.2, 0.3),
    ]
    assert path.read_text().splitlines()[0] == "step,images,seconds,rate,loss,validation_loss"


def test_a_line_that_a_kill_has_torn_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    history = History(path)
    for moment in MOMENTS:
        history.add(moment)
    path.write_text(path.read_text()[:-4])
    assert History(path, step=10**9).moments == MOMENTS[:4]


def test_a_new_run_forgets_what_was_there(tmp_path: Path) -> None:
    History(tmp_path / "history.csv").add(MOMENTS[0])
    assert History(tmp_path / "history.csv").moments == []


def test_the_plot_shows_both_losses() -> None:
    empty = np.asarray(plot.draw("run", []))
    one = np.asarray(plot.draw("run", MOMENTS[:1]))
    tested = [Moment(300, 9600, 20.0, 1e-3, 0.1, 0.2), Moment(350, 9900, 20.0, 1e-3, 0.1, 0.21)]
    both = np.asarray(plot.draw("run", [*MOMENTS, *tested]))
    for colour, least in (((52, 101, 164), 300), ((204, 88, 3), 40)):
        assert (both == colour).all(axis=-1).sum() > least + (empty == colour).all(axis=-1).sum()
    assert (one != empty).any()


def test_noise_grows_until_nothing_else_is_left(
    examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[str, list[NDArray[np.uint8]]]] = []

    def caught(title: str, note: str, rows: Sequence[Any]) -> Any:
        drawn.extend(rows)
        return sheet.draw(title, note, rows)

    monkeypatch.setattr(noising, "draw_sheet", caught)
    noising.draw(draft(Options("data", "out", "noise"), examples, 4), examples, [0.1, 1.0, 40.0])
    assert drawn
    for _, stages in drawn:
        clean = stages[0].astype(float)
        far = [np.abs(stage - clean).mean() for stage in stages]
        assert far[0] == 0
        assert far == sorted(far)
    lost = [np.abs(stages[-1].astype(float) - stages[0]).mean() for _, stages in drawn]
    assert min(lost) > 40  # of 255: nothing of the sprite is left


def test_noising_is_drawn_for_grey_models_too(examples: Examples) -> None:
    of_colours = draft(Options("data", "out", "noise"), examples, 4)
    sheet = np.asarray(noising.draw(of_colours, examples, [0.1, 40.0]))
    again = np.asarray(noising.draw(of_colours, examples, [0.1, 40.0]))
    of_grey = of_colours.model_copy(update={"channels": 1})
    grey = np.asarray(noising.draw(of_grey, examples, [0.1, 40.0]))
    assert np.array_equal(sheet, again)
    assert sheet.shape == grey.shape
    assert sheet.shape[0] > 6 * 96
