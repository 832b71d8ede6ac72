"""Settings: precedence, faults, and no secret shown."""

import getpass
from pathlib import Path

import pytest

from core.errors import RequestError
from core.settings import Settings, as_environment, explain, hide_password, load

TLS = "rediss://u:hunter2@host:6379/0?ssl_cert_reqs=required"


def environment(tmp_path: Path, **values: str) -> dict[str, str]:
    file = tmp_path / "settings.toml"
    file.touch()
    return {"SPRITEMILL_CONFIG": str(file), **values}


def test_flag_beats_environment_beats_file_beats_default(tmp_path: Path) -> None:
    environ = environment(tmp_path)
    assert load(environ=environ).slots == 2
    (tmp_path / "settings.toml").write_text("slots = 3\nworkers = 3")
    assert load(environ=environ).slots == 3
    environ["SPRITEMILL_SLOTS"] = "4"
    assert load(environ=environ).slots == 4
    assert load({"slots": 5}, environ).slots == 5
    assert load({"slots": None}, environ).workers == 3


def test_each_value_is_explained_with_its_source(tmp_path: Path) -> None:
    environ = environment(tmp_path, SPRITEMILL_SLOTS="4")
    found = {item.name: item for item in explain({"workers": 2}, environ)}
    assert found["slots"].source == "environment"
    assert found["workers"].source == "flag"
    assert found["lease_seconds"].source == "default"
    assert all(item.explain for item in found.values())


def test_passwords_are_never_explained(tmp_path: Path) -> None:
    environ = environment(tmp_path, SPRITEMILL_BROKER_URL="redis://mill:hunter2@queue:6379/0")
    shown = " ".join(item.value for item in explain(environ=environ))
    assert "hunter2" not in shown
    assert "redis://mill:***@queue:6379/0" in shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:hunter2@queue/0", "redis://:***@queue/0"),
        ("redis://mill@queue/0", "redis://mill@queue/0"),
        ("redis://[::1]:6379/0", "redis://[::1]:6379/0"),
        ("redis://mill:hunter2@[::1]:6379/0", "redis://mill:***@[::1]:6379/0"),
        ("redis://mill:hu@nter2@queue/0", "redis://mill:***@queue/0"),
        ("redis://mill:hunter2#@queue/0", "redis://mill:***@queue/0"),
        ("redis://queue/0?password=hunter2", "redis://queue/0?password=***"),
        ("redis+socket:///run/a:b.sock", "redis+socket:///run/a:b.sock"),
        ("postgresql+psycopg://mill:/hunter2@db/x", "postgresql+psycopg://mill:***@db/x"),
        ("postgresql+psycopg://mill:?hunter2@db/x", "postgresql+psycopg://mill:***@db/x"),
        ("postgresql+psycopg://mill@db:hunter2@db/x", "postgresql+psycopg://mill@db:***@db/x"),
        (
            "postgresql+psycopg://db:5432/x?user=u&password=hunt@er2&sslmode=require",
            "postgresql+psycopg://db:5432/x?user=u&password=***&sslmode=require",
        ),
        (
            "postgresql+psycopg://db/x?sslPassword=hunter2",
            "postgresql+psycopg://db/x?sslPassword=***",
        ),
        ("/home/a:b@c", "/home/a:b@c"),
    ],
)
def test_password_is_hidden_wherever_a_url_has_it(url: str, shown: str) -> None:
    assert hide_password(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg:///mill?host=/run/postgresql&user=ada@lab",
        "postgresql+psycopg://mill@lab:hunter2@db,other:5432/mill",
        "postgresql+psycopg://mill:a/b?c#d:e@[::1]:5432/mill",
        "postgresql+psycopg://mill:a%40b@/mill?host=h1:5432&host=h2:5432",
    ],
)
def test_database_that_is_read_as_it_is_meant_is_taken(tmp_path: Path, url: str) -> None:
    assert load(environ=environment(tmp_path, SPRITEMILL_DATABASE_URL=url)).database_url == url


@pytest.mark.parametrize(
    "url",
    [
        "redis://queue",
        "redis://:6379/0?password=a@b",
        "redis://mill:a@b:c@[::1]:6379/0",
        "redis+socket:///run/a@b/c:d.sock",
    ],
)
def test_broker_that_is_read_as_it_is_meant_is_taken(tmp_path: Path, url: str) -> None:
    assert load(environ=environment(tmp_path, SPRITEMILL_BROKER_URL=url)).broker_url == url


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("slots", "many", "number"),
        ("slots", "0", "at least 1"),
        ("lease_seconds", "nan", "above 0"),
        ("lease_seconds", "inf", "above 0"),
        ("slots", "1.5", "whole number"),
        ("slots", "9" * 5000, "whole number"),
        ("renew_seconds", "80", "at most half of lease_seconds, 90. Lower it"),
        ("renderer", "magic", "one of diffusion, fake"),
        ("log_level", "loud", "one of debug"),
        ("owner_weights", "ada", "a weight above 0"),
        ("owner_weights", "ada=0", "a weight above 0"),
        ("owner_weights", "ada=nan", "a weight above 0"),
        ("owner_weights", "ada=1,ada=2", "ada is there twice"),
        ("broker_url", "amqp://u:hunter2@host", "redis://"),
        ("broker_url", "redis://u:hunter2@[::1", "no URL"),
        ("broker_url", "rediss://u:hunter2@host", "Add .ssl_cert_reqs=required"),
        ("broker_url", "rediss://host?ssl_cert_reqs=none", "not `required`"),
        ("broker_url", "rediss://host?ssl_cert_reqs=CERT_REQUIRED", "not `required`"),
        ("broker_url", f"{TLS}&ssl_cert_reqs=none", "Add .*=required to the URL, once"),
        ("broker_url", f"{TLS}&ssl_check_hostname=false", "Leave ssl_check_hostname out"),
        ("broker_url", f"{TLS}&ssl_check_hostname=0", "ssl_check_hostname is not `true`"),
        ("broker_url", f"{TLS}&ssl_check_hostname=true&ssl_check_hostname=no", "is not `true`"),
        ("broker_url", "redis://u:7/hunter2@host:6379/0", "%2F for /"),
        ("broker_url", "redis://u:hunter2/x@host:6379/0", "%2F for /"),
        ("broker_url", "redis://:7?hunter2@host/0", "%3F for ?"),
        ("broker_url", "rediss://u:hunter2#@host?ssl_cert_reqs=required", "%23 for #"),
        ("broker_url", "redis://u:hunter2@host:port/0", "user:password@host:port"),
        ("broker_url", "redis://u:hunter2@host:99999/0", "user:password@host:port"),
        ("broker_url", "redis://u:hunter2@ho\u2100st/0", "no URL"),
        ("database_url", "mysql://u:hunter2@host/db", "postgresql"),
        ("database_url", "postgresql+psycopg://u:p@hunter2:word@host/db", "%3A for :"),
        ("database_url", "postgresql+psycopg://u:p@hunter2@host/db", "%40 for @"),
        ("database_url", "postgresql+psycopg://u:p@/hunter2@host/db", "%40 for @"),
        ("database_url", "postgresql+psycopg://u:hunter2@host:port/db", "user:password@host:port"),
        ("store_url", "gs://bucket", "s3://"),
    ],
)
def test_bad_setting_is_told_without_its_secret(
    tmp_path: Path, name: str, value: str, told: str
) -> None:
    environ = environment(tmp_path, **{f"SPRITEMILL_{name.upper()}": value})
    with pytest.raises(RequestError, match=told) as caught:
        load(environ=environ)
    assert name in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_lease_that_is_too_short_for_the_renewals_is_told_with_both(tmp_path: Path) -> None:
    environ = environment(tmp_path, SPRITEMILL_LEASE_SECONDS="10")
    with pytest.raises(RequestError, match=r"renew_seconds = 15: .* half of lease_seconds, 10"):
        load(environ=environ)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("workers = 1.9", "workers = 1.9: a whole number"),
        ("workers = inf", "workers = inf: a whole number"),
        ("workers = true", "workers = True: a whole number"),
        (f"lease_seconds = 1{'0' * 400}", "a number is needed"),
        (f"workers = 1{'0' * 5000}", "cannot be read"),
        ("home = 5", "home = 5: the name of a folder"),
        ("home = '~nobody-of-that-name/x'", "no such folder"),
    ],
)
def test_value_of_another_kind_is_told(tmp_path: Path, text: str, told: str) -> None:
    environ = environment(tmp_path)
    (tmp_path / "settings.toml").write_text(text)
    with pytest.raises(RequestError, match=told):
        load(environ=environ)


def test_empty_value_is_as_if_unset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platformdirs.user_config_path", lambda _: tmp_path)
    names = ("CONFIG", "HOME", "OWNER", "SLOTS")
    found = load({"home": ""}, {f"SPRITEMILL_{name}": "" for name in names})
    assert found == load(environ={})
    assert found.owner
    assert load(environ=environment(tmp_path, SPRITEMILL_BROKER_PREFIX="")).broker_prefix == ""


def test_folder_of_the_store_is_found_from_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "ada"))
    monkeypatch.chdir(tmp_path)
    for given, meant in {
        "~/sprites": str(tmp_path / "ada" / "sprites"),
        "sprites": str(tmp_path / "sprites"),
        "s3://bucket/sprites": "s3://bucket/sprites",
        "": "",
    }.items():
        found = load(environ=environment(tmp_path, SPRITEMILL_STORE_URL=given))
        assert found.store_url == meant


def test_owners_have_the_weights_that_are_set(tmp_path: Path) -> None:
    environ = environment(tmp_path, SPRITEMILL_OWNER_WEIGHTS="ada=3, bob=1.5,")
    assert load(environ=environ).weights == {"ada": 3.0, "bob": 1.5}
    assert load(environ=environment(tmp_path)).weights == {}


@pytest.mark.parametrize("more", ["", "&ssl_cert_reqs=required&ssl_check_hostname=True"])
def test_checked_tls_broker_is_taken(tmp_path: Path, more: str) -> None:
    url = TLS + more
    assert load(environ=environment(tmp_path, SPRITEMILL_BROKER_URL=url)).broker_url == url


def test_unknown_key_of_the_file_is_told_with_the_file(tmp_path: Path) -> None:
    environ = environment(tmp_path)
    (tmp_path / "settings.toml").write_text("slotz = 3")
    with pytest.raises(RequestError, match=r"slotz.*settings\.toml"):
        load(environ=environ)


def test_secret_under_a_name_that_is_no_setting_is_not_shown(tmp_path: Path) -> None:
    environ = environment(tmp_path)
    url = "postgresql+psycopg://mill:hunter2@db/x"
    (tmp_path / "settings.toml").write_text(f'database = "{url}"\nslots = "{url}"')
    with pytest.raises(RequestError, match=r"database = .*no such setting") as caught:
        load(environ=environ)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("text", ["slots =", "\xff"])
def test_broken_file_is_told(tmp_path: Path, text: str) -> None:
    environ = environment(tmp_path)
    (tmp_path / "settings.toml").write_text(text, encoding="latin-1")
    with pytest.raises(RequestError, match="TOML"):
        load(environ=environ)


def test_named_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no such file"):
        load(environ={"SPRITEMILL_CONFIG": str(tmp_path / "none.toml")})


def test_child_process_gets_exactly_these_settings(tmp_path: Path) -> None:
    given = load({"home": tmp_path, "slots": 7, "fake_rate": 12.5}, environment(tmp_path))
    again = load(environ={**environment(tmp_path), **as_environment(given)})
    assert again == given


def test_embedded_parts_live_in_home(tmp_path: Path) -> None:
    made = Settings(home=tmp_path)
    assert made.embedded
    assert made.ledger_url == f"sqlite:///{tmp_path / 'ledger.db'}"
    assert made.store == str(tmp_path / "store")


def test_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def nameless() -> str:
        raise KeyError("uid")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert load(environ=environment(tmp_path)).owner.isdigit()
