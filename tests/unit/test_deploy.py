"""The container files, by real validators: `docker compose config` and hadolint."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
DOCKERFILES = sorted(DEPLOY.glob("*.Dockerfile"))
SECRETS = ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "S3_KEY", "S3_SECRET")
OURS = {"prepare", "orchestrator", "worker", "cli"}


def tool(name: str, *arguments: str | Path, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [Path(sys.executable).with_name(name), *arguments],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **env},
    )


def compose(*files: str, **env: str) -> "subprocess.CompletedProcess[str]":
    named = [part for file in files for part in ("-f", DEPLOY / file)]
    return tool(
        "docker-compose", *named, "--env-file", os.devnull, "--profile", "*", "config", **env
    )


@pytest.fixture(scope="module", params=[(), ("compose.gpu.yaml",)], ids=["cpu", "gpu"])
def services(request: pytest.FixtureRequest) -> dict[str, Any]:
    said = compose("compose.yaml", *request.param, **{name: f"word-{name}" for name in SECRETS})
    assert said.returncode == 0, said.stderr
    found: dict[str, Any] = yaml.safe_load(said.stdout)["services"]
    return found


def test_compose_has_every_part_of_a_fleet(services: dict[str, Any]) -> None:
    assert set(services) == {"postgres", "redis", "store"} | OURS
    assert "container_name" not in services["worker"], "it could not be scaled"
    for name, service in services.items():
        assert "privileged" not in service, name
        assert "ports" not in service, f"{name} is reached from outside"


def test_our_containers_have_no_more_rights_than_they_need(services: dict[str, Any]) -> None:
    for name in sorted(OURS):
        assert services[name]["cap_drop"] == ["ALL"], name
        assert services[name]["security_opt"] == ["no-new-privileges:true"], name
        image = services[name]["image"]
        builds = [each["build"] for each in services.values() if each.get("image") == image
                  and "build" in each]  # fmt: skip
        assert len(builds) == 1, f"{image} is built by one service: two would race"
        built = DEPLOY.parent / builds[0]["dockerfile"]
        assert re.findall(r"^USER (.+)$", built.read_text(), re.MULTILINE) == ["10001"], name


@pytest.mark.parametrize("missing", SECRETS)
def test_a_secret_that_is_missing_is_named(missing: str) -> None:
    said = compose("compose.yaml", **{name: "" if name == missing else "x" for name in SECRETS})
    assert said.returncode != 0
    assert f"{missing} is missing a value: put it into deploy/.env" in said.stderr
    assert missing in (DEPLOY / "example.env").read_text()


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_dockerfiles_are_sound(path: Path) -> None:
    said = tool("hadolint", path)
    assert said.returncode == 0, said.stdout
    assert "torch" not in path.read_text() or path.name == "worker.Dockerfile"


def test_what_is_copied_is_there_and_sent_to_the_builder() -> None:
    sent = (DEPLOY.parent / ".dockerignore").read_text().split()
    copied = set[str]()
    for path in DOCKERFILES:
        for line in re.findall(
            r"^COPY (?:--chmod=\d+ )?(?!--)(.+) \S+$", path.read_text(), re.MULTILINE
        ):
            copied.update(line.split())
    assert {"core", "pyproject.toml", "deploy/bucket.py"} <= copied
    for name in copied:
        assert (DEPLOY.parent / name).exists(), name
        assert f"!{name}" in sent, name
