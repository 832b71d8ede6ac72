"""Parts that are away, refuse us or are of another version: exit code, one message, no secret."""

import sqlite3
from pathlib import Path

import pytest

from core import weights
from tests.acceptance.conftest import Program, Said
from tests.conftest import Bucket

REQUEST = "samples: 4\ncontexts:\n  - class: potion\n"
SECRET = "hunter2"


def unreachable(said: Said, *words: str) -> None:
    assert said.code == 3, said
    assert "Traceback" not in said.err
    assert SECRET not in said.err + said.out
    assert all(word in said.err for word in words), said.err


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql+psycopg://mill:{SECRET}@127.0.0.1:1/mill",
        f"postgresql+psycopg://mill:{SECRET}@nowhere.invalid/mill",
    ],
)
@pytest.mark.parametrize("command", ["status", "submit", "run"])
def test_database_that_is_away_is_named(spritemill: Program, url: str, command: str) -> None:
    request = [spritemill.request(REQUEST)] if command != "status" else []
    unreachable(spritemill(command, *request, SPRITEMILL_DATABASE_URL=url), "database")


def test_database_that_refuses_the_password_is_named(
    spritemill: Program, fresh_database: str
) -> None:
    url = fresh_database.replace("://", "://nobody:" + SECRET + "@", 1)
    if "@" in fresh_database:
        account, _, place = fresh_database.partition("://")[2].rpartition("@")
        url = f"postgresql+psycopg://{account.partition(':')[0]}:{SECRET}@{place}"
    unreachable(spritemill("status", SPRITEMILL_DATABASE_URL=url), "database")


@pytest.mark.parametrize(
    "url", [f"redis://:{SECRET}@127.0.0.1:1/0", f"redis://:{SECRET}@nowhere.invalid:6379/0"]
)
def test_broker_that_is_away_is_named(spritemill: Program, url: str) -> None:
    request = spritemill.request(REQUEST)
    unreachable(spritemill("run", request, SPRITEMILL_BROKER_URL=url), "broker")
    unreachable(spritemill("up", "--detach", SPRITEMILL_BROKER_URL=url), "broker")
    assert not spritemill.home.exists(), "nothing is written"


def test_broker_that_refuses_the_password_is_named(spritemill: Program, redis_url: str) -> None:
    place = redis_url.partition("://")[2].rpartition("@")[2]
    url = f"redis://:{SECRET}@{place}"
    unreachable(spritemill("run", "--class", "potion", SPRITEMILL_BROKER_URL=url), "broker")


def test_store_that_is_away_is_named(spritemill: Program) -> None:
    unreachable(
        spritemill(
            "run",
            "--class",
            "potion",
            SPRITEMILL_STORE_URL="s3://sprites/mill",
            SPRITEMILL_S3_ENDPOINT="http://127.0.0.1:1",
            AWS_ACCESS_KEY_ID="mill",
            AWS_SECRET_ACCESS_KEY=SECRET,
        ),
        "store",
    )
    assert not spritemill.home.exists(), "nothing is written"


def test_store_that_refuses_the_credentials_is_named(spritemill: Program, s3: Bucket) -> None:
    unreachable(
        spritemill(
            "run",
            "--class",
            "potion",
            SPRITEMILL_STORE_URL=s3.settings.store_url,
            SPRITEMILL_S3_ENDPOINT=s3.settings.s3_endpoint,
            AWS_ACCESS_KEY_ID="mill",
            AWS_SECRET_ACCESS_KEY=SECRET,
        ),
        "store",
    )


def test_bucket_that_is_missing_is_named(spritemill: Program, s3: Bucket) -> None:
    unreachable(
        spritemill(
            "run",
            "--class",
            "potion",
            SPRITEMILL_STORE_URL="s3://no-such-bucket/mill",
            SPRITEMILL_S3_ENDPOINT=s3.settings.s3_endpoint,
            **s3.server.credentials.environment(),
        ),
        "no-such-bucket",
    )


def test_tls_broker_that_checks_no_certificate_is_refused(spritemill: Program) -> None:
    said = spritemill("status", SPRITEMILL_BROKER_URL=f"rediss://:{SECRET}@queue:6379/0")
    assert said.code == 2
    assert "ssl_cert_reqs=required" in said.err
    assert SECRET not in said.err


@pytest.mark.parametrize(
    ("revision", "word"), [("0000", "spritemill db upgrade"), ("9999", "newer")]
)
def test_ledger_of_another_version_is_refused(
    spritemill: Program, revision: str, word: str
) -> None:
    assert spritemill("submit", spritemill.request(REQUEST)).code == 0
    with sqlite3.connect(spritemill.home / "ledger.db") as database:
        database.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    for command in (("status",), ("submit", spritemill.request(REQUEST))):
        said = spritemill(*command)
        assert said.code == 2, said
        assert "Traceback" not in said.err
        assert word in said.err


def test_job_whose_weights_are_gone_fails_in_words(spritemill: Program) -> None:
    assert spritemill("submit", spritemill.request(REQUEST)).code == 0
    with sqlite3.connect(spritemill.home / "ledger.db") as database:
        database.execute("UPDATE jobs SET weights = ?", ("0" * 64,))
    assert spritemill("up", "--detach").code == 0
    said = spritemill("watch", "latest")
    assert said.code == 1, said
    assert "0" * 16 in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("name", ["zzz", "../../etc/passwd", "x" * 300, "", "%"])
def test_job_that_is_not_there_is_named(spritemill: Program, name: str) -> None:
    assert spritemill("submit", spritemill.request(REQUEST)).code == 0
    for command in ("status", "rm"):
        said = spritemill(command, name)
        assert said.code == 2, said
        assert "Traceback" not in said.err
        assert "spritemill list" in said.err


@pytest.mark.parametrize(
    "command", [["status"], ["watch"], ["events"], ["preview"], ["download", "latest", "x"]]
)
def test_without_any_job_the_first_step_is_told(spritemill: Program, command: list[str]) -> None:
    said = spritemill(*command)
    assert said.code == 2, said
    assert "spritemill run" in said.err
    assert not spritemill.home.exists()


def test_home_that_cannot_be_made_is_named(spritemill: Program) -> None:
    file = spritemill.folder / "file"
    file.touch()
    said = spritemill("run", "--class", "potion", "--home", file / "home")
    assert said.code == 2, said
    assert str(file) in said.err
    assert "Traceback" not in said.err


def test_setting_that_is_wrong_is_named_with_its_source(spritemill: Program) -> None:
    said = spritemill("status", SPRITEMILL_SLOTS="many")
    assert said.code == 2
    assert "slots = many" in said.err
    assert "environment" in said.err


def test_doctor_tells_what_is_ill_and_its_remedy(spritemill: Program) -> None:
    url = f"redis://:{SECRET}@127.0.0.1:1/0"
    said = spritemill("doctor", "--json", SPRITEMILL_BROKER_URL=url)
    assert said.code == 3
    parts = {part["part"]: part for part in said.json}
    assert not parts["broker"]["ok"]
    assert parts["broker"]["remedy"]
    assert parts["model"]["ok"]
    assert SECRET not in said.out


def test_doctor_writes_nothing_and_finds_a_fresh_machine_well(spritemill: Program) -> None:
    said = spritemill("doctor")
    assert said.code == 0, said
    assert said.out.count("ok ") >= 6
    assert list(Path(spritemill.folder).rglob("*")) == []


@pytest.mark.parametrize("command", [["run", "--class", "potion"], ["doctor"]])
def test_store_that_is_no_folder_is_named_and_nothing_written(
    spritemill: Program, command: list[str]
) -> None:
    file = spritemill.folder / "file"
    file.touch()
    said = spritemill(*command, SPRITEMILL_STORE_URL=str(file))
    assert said.code in (2, 3), said
    assert f"{file}" in said.out + said.err
    assert "store_url" in said.out + said.err
    assert not spritemill.home.exists()


def test_workers_are_not_started_without_their_broker(spritemill: Program) -> None:
    said = spritemill("workers", "start", SPRITEMILL_BROKER_URL="redis://127.0.0.1:1/0")
    assert said.code == 3, said
    assert "127.0.0.1:1" in said.err
    assert not spritemill.home.exists()


def test_file_that_is_no_model_is_refused_before_anything_is_written(spritemill: Program) -> None:
    file = spritemill.folder / "notes.md"
    file.write_text("no tensors")
    said = spritemill("models", "add", file)
    assert said.code == 2, said
    assert file.name in said.err
    assert not spritemill.home.exists()


def test_the_bundled_model_is_not_registered_twice(spritemill: Program) -> None:
    said = spritemill("models", "add", weights.bundled())
    assert said.code == 2, said
    assert "is the bundled model" in said.err
    assert not spritemill.home.exists()


def test_job_is_told_of_though_the_note_of_a_mill_is_unreadable(spritemill: Program) -> None:
    spritemill.home.mkdir()
    (spritemill.home / "mill.json").write_text("{")
    request = spritemill.request("samples: 3\ncontexts: [{class: potion}]")
    said = spritemill("submit", request)
    assert said.code == 0, said
    assert "is accepted" in said.out
    assert "mill.json" in said.err
    assert "mill.json" in spritemill("doctor").out
