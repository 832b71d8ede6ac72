"""What is said: tables, JSON, units, progress without a terminal, pictures in one."""

import io
import json

import pytest
from PIL import Image

from orchestrator.cli import units
from orchestrator.cli.console import Console, columns, fields
from orchestrator.cli.drawing import HALF_BLOCK, draw
from orchestrator.cli.progress import Progress


def test_answer_is_a_document_or_lines_or_brief(capsys: pytest.CaptureFixture[str]) -> None:
    Console().answer({"a": 1}, "one", "two", brief="b")
    assert capsys.readouterr().out == "one\ntwo\n"
    Console(quiet=True).answer({"a": 1}, "one", brief="b")
    assert capsys.readouterr().out == "b\n"
    Console(json=True, quiet=True).answer({"a": 1}, "one", brief="b")
    assert json.loads(capsys.readouterr().out) == {"a": 1}


def test_columns_line_up_and_numbers_stand_right() -> None:
    assert columns(("job", "done"), [("a", "1"), ("bcd", "1,000")], right="done") == [
        "job   done",
        "a        1",
        "bcd  1,000",
    ]


def test_fields_leave_out_what_is_empty() -> None:
    assert fields([("state", "running"), ("error", ""), ("by", "ada")]) == [
        "state  running",
        "by     ada",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "?"), (0.04, "0.0 s"), (9.96, "10.0 s"), (12.4, "12 s"), (59.6, "1 min"),
     (185, "3 min 5 s"), (7800, "2 h 10 min"), (90000, "1 d 1 h")],
)  # fmt: skip
def test_durations_read_well(seconds: float | None, text: str) -> None:
    assert units.duration(seconds) == text


def test_sizes_and_counts_read_well() -> None:
    assert [units.size(n) for n in (0, 999, 1500, 12_300_000, 2e15)] == [
        "0 B",
        "999 B",
        "1.5 kB",
        "12.3 MB",
        "2,000.0 TB",
    ]
    assert units.count(1, "shard") == "1 shard"
    assert units.count(1200, "sprite") == "1,200 sprites"
    assert units.rate(1234.5) == "1,234/s"


def test_progress_without_a_terminal_is_a_line_every_few_seconds_and_the_last(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("orchestrator.cli.progress.time.monotonic", lambda: now)
    with Progress(Console(), "abc") as shown:
        for step in range(100):
            now = 100.0 + step * 0.2
            shown.update(step, 1000, state="running", rate=5.0, eta=1000.0)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[0] == ("abc: running: 0 of 1,000 sprites, 5.0/s, 16 min 40 s left")
    assert len(said.err.splitlines()) == 5
    assert "99 of 1,000 sprites" in said.err.splitlines()[-1]


@pytest.mark.parametrize("console", [Console(json=True), Console(quiet=True)])
def test_progress_is_silent_for_machines(
    console: Console, capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress(console, "abc") as shown:
        shown.update(5, 10)
    assert capsys.readouterr() == ("", "")


def test_picture_is_drawn_two_pixels_a_character() -> None:
    raw = io.BytesIO()
    picture = Image.new("RGBA", (40, 20), (255, 0, 0, 255))
    picture.paste((0, 0, 0, 0), (0, 0, 40, 10))
    picture.save(raw, "png")
    lines = draw(raw.getvalue(), columns=20)
    assert len(lines) == 5
    assert all(line.count(HALF_BLOCK) == 20 for line in lines)
    assert "38;2;0;0;0;48;2;0;0;0" in lines[0]
    assert "38;2;255;0;0;48;2;255;0;0" in lines[-1]


def test_pictures_are_drawn_in_a_terminal_for_people_who_want_colours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert not Console().draws
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert Console().draws
    assert not Console(json=True).draws
    assert not Console(quiet=True).draws
    monkeypatch.setenv("NO_COLOR", "1")
    assert not Console().draws
