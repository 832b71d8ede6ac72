"""A bad request costs nothing: one clear message, exit code 2, and nothing written."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.conftest import Program, Said

GOOD = "samples: 4\ncontexts:\n  - class: potion\n"


def refused(said: Said, *words: str) -> None:
    assert said.code == 2, said
    assert said.out == ""
    assert "Traceback" not in said.err
    assert said.err.startswith("spritemill: ")
    assert all(word in said.err for word in words), said.err


def nothing_written(program: Program, *files: str) -> None:
    left = {path.relative_to(program.folder).as_posix() for path in program.folder.rglob("*")}
    assert left <= set(files)


@pytest.mark.parametrize("command", ["check", "run", "submit", "plan"])
def test_no_command_writes_anything_for_a_bad_request(spritemill: Program, command: str) -> None:
    request = spritemill.request("samples: 0\ncontexts: [{class: potoin}]")
    refused(spritemill(command, request), "samples = 0", "at least 1")
    nothing_written(spritemill, request)


def directory(path: Path) -> None:
    path.mkdir()


def absent(path: Path) -> None:
    assert not path.exists()


def binary(path: Path) -> None:
    path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")


def nul(path: Path) -> None:
    path.write_bytes(b"samples: 4\0")


def latin(path: Path) -> None:
    path.write_bytes("name: h\xe9ro".encode("latin-1"))


def huge(path: Path) -> None:
    with path.open("wb") as out:
        out.truncate(100_000_000)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (directory, "folder"),
        (absent, "no such file"),
        (binary, "UTF-8"),
        (nul, "binary"),
        (latin, "UTF-8"),
        (huge, "too many"),
    ],
)
def test_file_that_is_no_request_is_refused(
    spritemill: Program, make: Callable[[Path], None], word: str
) -> None:
    make(spritemill.folder / "request.yaml")
    refused(spritemill("run", "request.yaml"), "request.yaml", word)
    assert not spritemill.home.exists()


def test_job_that_the_disk_cannot_hold_is_refused(spritemill: Program) -> None:
    said = spritemill(
        "submit",
        spritemill.request("samples: 100000000000\ncontexts: [{class: potion}]"),
        SPRITEMILL_MAX_SAMPLES="1000000000000",
    )
    refused(said, "samples", "GB free")
    nothing_written(spritemill, "request.yaml")


@pytest.mark.parametrize("out", ["request.yaml", "."])
def test_place_for_pictures_that_is_taken_is_refused_first(spritemill: Program, out: str) -> None:
    request = spritemill.request(GOOD)
    refused(spritemill("run", request, "--out", out), f"out = {out}")
    nothing_written(spritemill, request)


def test_flags_beside_a_file_are_refused(spritemill: Program) -> None:
    request = spritemill.request(GOOD)
    refused(spritemill("run", request, "--class", "scroll"), "--class")


def test_run_without_anything_to_make_says_what_to_say(spritemill: Program) -> None:
    refused(spritemill("run"), "--class")


def test_unknown_class_as_a_flag_is_refused_with_the_nearest(spritemill: Program) -> None:
    refused(spritemill("run", "--class", "potoin", "-n", "3"), "potoin", "potion")
    nothing_written(spritemill)


@pytest.mark.parametrize(
    "arguments", [("runn",), ("status", "a", "b"), ("submit",), ("list", "--limit", "x")]
)
def test_mistyped_command_exits_with_2(spritemill: Program, arguments: tuple[str, ...]) -> None:
    said = spritemill(*arguments)
    assert said.code == 2
    assert "Traceback" not in said.err
    nothing_written(spritemill)
