"""Each kind of bad request is told in words, with what would be right, and costs nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import orchestrator
from orchestrator.cli import main

GOOD = "samples: 4\ncontexts:\n  - class: potion\n"
MANY = "samples: 4\ncontexts:\n"

BAD = {
    "unknown class": ("samples: 4\ncontexts: [{class: potoin}]", ["potoin", "potion"]),
    "unknown word": ("samples: 4\ncontexts: [{text: golden swrod}]", ["swrod", "sword"]),
    "unknown key": (GOOD + "sampels: 3\n", ["sampels", "samples"]),
    "unknown nested key": (GOOD + "sampling: {stepz: 3}\n", ["sampling.stepz", "steps"]),
    "repeated key": (GOOD + "samples: 5\n", ["samples", "twice"]),
    "no samples": ("contexts: [{class: potion}]", ["samples", "missing"]),
    "no contexts": ("samples: 4\ncontexts: []", ["contexts", "empty"]),
    "zero samples": ("samples: 0\ncontexts: [{class: potion}]", ["samples", "at least 1"]),
    "negative samples": ("samples: -1\ncontexts: [{class: potion}]", ["samples", "at least 1"]),
    "fractional samples": ("samples: 1.5\ncontexts: [{class: potion}]", ["samples", "whole"]),
    "words for samples": ("samples: ten\ncontexts: [{class: potion}]", ["samples", "whole"]),
    "samples beyond the limit": (
        "samples: 100000000000\ncontexts: [{class: potion}]",
        ["samples", "at most"],
    ),
    "not a number": (MANY + "  - mixture: {potion: .nan}", ["mixture.potion", "finite"]),
    "infinite weight": (MANY + "  - mixture: {potion: .inf}", ["mixture.potion", "finite"]),
    "weights that sum to zero": (MANY + "  - mixture: {potion: 1, scroll: -1}", ["sum to zero"]),
    "short vector": (MANY + "  - vector: [1, 0]", ["vector"]),
    "zero steps": (GOOD + "sampling: {steps: 0}", ["sampling.steps", "at least 1"]),
    "steps out of range": (GOOD + "sampling: {steps: 5000}", ["sampling.steps", "1000"]),
    "guidance out of range": (GOOD + "sampling: {guidance: -1}", ["sampling.guidance", "0"]),
    "size that the model lacks": (GOOD + "pixels: {size: 64}", ["pixels.size", "32"]),
    "path in the name": (GOOD + "name: ../../etc/passwd", ["name", "match", "Begin with a letter"]),
    "path in the model": (GOOD + "model: ../weights", ["model"]),
    "unknown model": (GOOD + "model: dungeon-33", ["dungeon-33", "dungeon-32"]),
    "the same context twice": (MANY + "  - class: potion\n  - class: potion", ["same"]),
    "alias bomb": ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]", ["alias"]),
    "tag": ("samples: !!python/object/apply:os.system ['touch hacked']", ["tag"]),
    "list": ("- 1\n- 2\n", ["mapping"]),
    "broken YAML": ("samples: [1, 2", ["line"]),
    "broken JSON": ('{"samples": 4,', ["line 1", "JSON"]),
    "empty": ("", ["empty"]),
    "deep nesting": ("[" * 5000, ["nested"]),
    "faults that hide each other": (
        MANY + "  - {class: potoin, samples: 0}\n  - {mixture: {hero: 1, wand: -1}, first: 0}\n"
        "  - {clas: hero}\n  - {text: golden swrod}\nsampling: {steps: 0}",
        [
            "contexts[0].samples",
            "contexts[0].class = potoin",
            "contexts[1].first",
            "contexts[1].mixture = {",
            "contexts[2].clas",
            "contexts[3].text = swrod",
            "sampling.steps",
            "7 things",
        ],
    ),
}


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPRITEMILL_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def check(text: str, *flags: str) -> int:
    Path("request.yaml").write_text(text, encoding="utf-8")
    return main(["check", "request.yaml", *flags])


@pytest.mark.parametrize("name", BAD)
def test_bad_request_is_refused_in_words(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, words = BAD[name]
    assert check(text) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("spritemill: ")
    assert [word for word in words if word not in said.err] == [], said.err
    assert [path.name for path in tmp_path.iterdir()] == ["request.yaml"]


def test_good_request_is_good(capsys: pytest.CaptureFixture[str]) -> None:
    assert check(GOOD, "--json") == 0
    assert json.loads(capsys.readouterr().out)["samples"] == 4


def test_every_fault_is_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert check(MANY + "  - class: potoin\n  - text: swrod\npixels: {size: 16}\n") == 2
    said = capsys.readouterr().err
    for word in ("3 things are wrong", "potoin", "swrod", "pixels.size = 16"):
        assert word in said


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("".join(f"key{number}: 1\n" for number in range(50)) + GOOD, (50, 30)),
        (MANY + "".join(f"  - class: orb{number}\n" for number in range(21)), (21, 1)),
    ],
)
def test_of_many_faults_the_first_are_told(
    text: str, told: tuple[int, int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(text) == 2
    first, *faults, last = capsys.readouterr().err.splitlines()
    assert first == f"spritemill: at least {told[0]} things are wrong:"
    assert len(faults) == 20
    assert last == f"  request: and at least {told[1]} more."


def test_what_a_terminal_would_obey_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    assert check(MANY + '  - class: "a\\e[31mred\\nline\\u202e\\x9b"\n') == 2
    said = capsys.readouterr().err
    assert said.startswith(r"spritemill: contexts[0].class = a\x1b[31mred\nline\u202e\x9b: ")
    assert len(said.splitlines()) == 1
    assert check('{"\\u001b[2J": 1, "\\u001b[3J": 1, "samples": 4, "contexts": []}') == 2
    assert {"  \\x1b[2J: ", "  \\x1b[3J: "} <= {
        line[:11] for line in capsys.readouterr().err.splitlines()
    }


@pytest.mark.parametrize("how", [(), ("--json",)])
def test_half_of_a_character_is_told(how: tuple[str, ...]) -> None:
    Path("request.json").write_text(
        r'{"samples": 3, "name": "\ud800", "contexts": [{"class": "\ud800"}]}'
    )
    command = [sys.executable, "-m", "orchestrator.cli", "check", "request.json", *how]
    root = str(Path(orchestrator.__file__).parents[1])
    ended = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": root}, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, "Traceback" in ended.stderr) == (2, False)
    if how:
        faults = json.loads(ended.stdout)["error"]["faults"]
        assert [fault["field"] for fault in faults] == ["name", "contexts[0].class"]


def test_machines_get_every_fault_by_field(capsys: pytest.CaptureFixture[str]) -> None:
    assert check(GOOD + "seed: -1\npriority: 1000\n", "--json") == 2
    faults = json.loads(capsys.readouterr().out)["error"]["faults"]
    assert [(fault["field"], fault["value"]) for fault in faults] == [
        ("seed", "-1"),
        ("priority", "1000"),
    ]
