"""What `animate` refuses before anything is rendered, and which frames it asks for."""

import json
from pathlib import Path

import pytest

from core.errors import UsageError
from orchestrator.animation import frames
from orchestrator.cli import main
from orchestrator.cli.asked import request_text
from tests.unit.request.pictures import data, sprite


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPRITEMILL_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize(
    ("asked", "taken"),
    [
        ("2", (0, 12)),
        ("4", (0, 4, 8, 12)),
        ("6", (0, 2, 5, 7, 10, 12)),
        ("100", tuple(range(13))),
        ("12,0,7", (12, 0, 7)),
    ],
)
def test_frames_are_spread_evenly_or_as_one_says(asked: str, taken: tuple[int, ...]) -> None:
    assert frames(asked, 12) == taken


@pytest.mark.parametrize("asked", ["1", "0", "-3", "", "all", "0,13", "-1,3", "2.5"])
def test_frames_that_there_are_not_are_refused(asked: str) -> None:
    with pytest.raises(UsageError, match="frames = "):
        frames(asked, 12)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "nothing is asked for"),
        (["--class", "potion", "--out", "potion.png"], "must end in .gif or .webp"),
        (["--class", "potion", "--out", "none/potion.gif"], "folder is not there"),
        (["--mixture", "potion"], "classes with weights"),
        (["--class", "potoin"], "potion"),
        (["--class", "potion", "--sampler", "euler"], "sampling.sampler"),
        (["--class", "potion", "--steps", "12", "--frames", "0,13"], "13 is no step of 12"),
        (["request.yaml", "--class", "potion"], "says already"),
        (["--class", "potion", "-n", "64", "--columns", "64", "--scale", "32"], "for a gif"),
        (["--class", "potion", "-n", "64", "--scale", "32", "--out", "a.webp"], "for a webp"),
    ],
)
def test_bad_call_is_told_what_would_be_right(
    arguments: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["animate", *arguments]) == 2
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_request_that_is_handed_on_holds_its_pictures(tmp_path: Path) -> None:
    wanted = data(sprite(), tmp_path)
    file = tmp_path / "request.yaml"
    file.write_text("samples: 1\ncontexts: [{class: potion, image: picture.png}]")
    assert json.loads(request_text(str(file)))["contexts"][0]["image"] == wanted
