"""The documents against the code: commands, settings, make targets, links."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
import typer

from core.settings import Settings
from orchestrator.cli.app import program

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def commands() -> set[str]:
    found = set()
    for name, command in typer.main.get_command(program()).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        found |= {f"{name} {sub}" for sub in inner} if inner else {name}
    return found


def test_every_command_is_described_and_no_other() -> None:
    rows = re.findall(
        r"^\| `spritemill ([a-z ]+[a-z])", (ROOT / "docs/commands.md").read_text(), re.M
    )
    assert set(rows) == commands()


def test_every_setting_is_described_and_no_other() -> None:
    text = (ROOT / "docs/operations.md").read_text()
    table = text[text.index("| setting |") : text.index("Credentials of S3")]
    assert set(re.findall(r"^\| `(\w+)`", table, re.M)) == {
        field.name for field in fields(Settings)
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_targets_that_a_page_shows_exist(page: Path) -> None:
    text = page.read_text()
    known = commands() | {name.partition(" ")[0] for name in commands()}
    for shown in re.findall(r"(?:^|`)spritemill ([a-z]+)", text, re.M):
        assert shown in known, f"{page.name} shows `spritemill {shown}`"
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M)
    for shown in re.findall(r"(?:^|`)make ([a-z]+)", text, re.M):
        assert shown in targets, f"{page.name} shows `make {shown}`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
