"""What a machine tells Spritemill about itself: read once, checked, frozen, passed on.

A value comes from the settings file, is overridden by the environment, and that by a flag.
Only this module reads the environment. It stays free of heavy imports: every command pays for it.
"""

import getpass
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import platformdirs

from core.errors import Fault, RequestError

PREFIX = "SPRITEMILL_"
_TIMES = ("lease_seconds", "renew_seconds", "load_seconds", "heartbeat_seconds")
_ABOVE_ZERO = (*_TIMES, "fake_rate", "drain_target_seconds")
_NOT_NEGATIVE = ("keep_cancelled_days", "keep_dataset_days", "idle_seconds")
_USERINFO = re.compile(r"(?<=://)([^:/]*):.*@")
_QUERY = re.compile(r"(?i)([?&][^=&]*password=)[^&]*")
# What redis-py, and what SQLAlchemy, reads as it is meant: their users and passwords end elsewhere.
_HOST = r"(\[[^/\]]*\]|[^/:@?#]*)(:(?P<port>[0-9]{0,5}))?"
_BROKER = re.compile(rf"rediss?://([^/?#]*@)?{_HOST}(/[^@?#]*)?(\?([^@#=]+=[^#]*)?)?")
_DATABASE = re.compile(rf"[^/]*://([^:/]*(:[^@]*)?@)?{_HOST}(/[^@?]*)?(\?.*)?")
_NO_ADDRESS = "it does not read as user:password@host:port"
_TRUE = {"true", "1", "yes"}  # to redis-py and to kombu
_ESCAPED = "In a user or password write %40 for @, %2F for /, %3F for ?, %23 for # and %3A for :."


def _setting(default: Any, explain: str) -> Any:
    return field(default=default, metadata={"explain": explain})


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. An empty URL means: the embedded part inside `home`."""

    home: Path = _setting(Path(), "Folder of the embedded mill: ledger, store, logs, locks.")
    database_url: str = _setting("", "SQLAlchemy URL of the ledger; empty: SQLite in home.")
    broker_url: str = _setting(
        "", "Redis or Valkey URL; empty: a private server of the mill's own."
    )
    broker_prefix: str = _setting("spritemill:", "Put before every key in the broker.")
    store_url: str = _setting("", "s3://bucket/prefix or a folder; empty: a folder in home.")
    s3_endpoint: str = _setting("", "Address of an S3-compatible store that is not AWS.")
    s3_region: str = _setting("us-east-1", "Region that signs S3 requests.")
    owner: str = _setting("", "Who submits; empty: the name of the user.")
    workers: int = _setting(1, "Worker processes that an embedded mill starts.")
    slots: int = _setting(2, "Child processes of a worker: while one uploads, another renders.")
    lease_seconds: float = _setting(90.0, "A shard whose worker is silent so long is taken back.")
    renew_seconds: float = _setting(15.0, "How often a rendering worker renews its lease.")
    load_seconds: float = _setting(600.0, "Lease allowed for loading or compiling a model.")
    heartbeat_seconds: float = _setting(5.0, "How often a worker says that it is alive.")
    grace_seconds: float = _setting(20.0, "A stopped worker may finish its shard within this.")
    notice_file: str = _setting("", "A worker stops when this file appears; empty: none.")
    drain_target_seconds: float = _setting(
        600.0, "`workers wanted`: work should be done in so long."
    )
    idle_seconds: float = _setting(600.0, "`workers wanted`: none when idle for so long.")
    owner_weights: str = _setting("", "Who gets more of the fleet: ada=3,bob=2; others weigh 1.")
    max_samples: int = _setting(100_000_000, "Largest job that is accepted.")
    keep_cancelled_days: float = _setting(7.0, "`gc` removes cancelled jobs after so many days.")
    keep_dataset_days: float = _setting(0.0, "`gc` removes datasets after so many days; 0: never.")
    renderer: str = _setting("diffusion", "diffusion, or fake: seeded bytes, to test scheduling.")
    compile: str = _setting(
        "auto", "Draw faster, with kernels compiled here: auto if they can be, yes or no."
    )
    fake_rate: float = _setting(1000.0, "Sprites a second that the fake renderer pretends to make.")
    log_level: str = _setting("info", "debug, info, warning or error.")

    @property
    def ledger_url(self) -> str:
        return self.database_url or f"sqlite:///{self.home / 'ledger.db'}"

    @property
    def store(self) -> str:
        return self.store_url or str(self.home / "store")

    @property
    def weights(self) -> dict[str, float]:
        """The weights of owners."""
        return _weights(self.owner_weights)

    @property
    def embedded(self) -> bool:
        """Whether the mill keeps a private broker of its own."""
        return not self.broker_url

    @property
    def kernels(self) -> Path:
        """Where compiled kernels are kept."""
        return self.home / "cache" / "kernels"

    @property
    def logs(self) -> Path:
        return self.home / "logs"


_KINDS = {f.name: f.type for f in fields(Settings)}


@dataclass(frozen=True, slots=True)
class Sourced:
    """A setting's value with where it came from, for `spritemill config`."""

    name: str
    value: str
    source: str
    explain: str


def load(
    flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """Read the settings. Raises RequestError with every fault found."""
    return _read(flags or {}, os.environ if environ is None else environ)[0]


def explain(
    flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None
) -> list[Sourced]:
    """Every setting with its value (passwords hidden) and its source."""
    settings, sources = _read(flags or {}, os.environ if environ is None else environ)
    return [
        Sourced(
            f.name,
            hide_password(str(getattr(settings, f.name))),
            sources.get(f.name, "default"),
            f.metadata["explain"],
        )
        for f in fields(Settings)
    ]


def unknown(environ: Mapping[str, str] | None = None) -> list[str]:
    """Variables that look like settings and are none.

    They are no fault: orchestration systems inject such names for a service called spritemill.
    """
    known = {PREFIX + "CONFIG", *(PREFIX + f.name.upper() for f in fields(Settings))}
    there = os.environ if environ is None else environ
    return sorted(name for name in there if name.startswith(PREFIX) and name not in known)


def as_environment(settings: Settings) -> dict[str, str]:
    """The variables that give a child process exactly these settings."""
    return {PREFIX + f.name.upper(): str(getattr(settings, f.name)) for f in fields(Settings)}


def hide_password(url: str) -> str:
    """The URL with its passwords replaced by stars: before the host, and in the query.

    Not every reader ends a password at a /, ? or # as `urlsplit` does, so it goes on to the last @.
    """
    return _USERINFO.sub(r"\1:***@", _QUERY.sub(r"\1***", url))


def settings_file(environ: Mapping[str, str]) -> Path:
    named = environ.get(PREFIX + "CONFIG")
    return Path(named) if named else platformdirs.user_config_path("spritemill") / "settings.toml"


def _read(flags: Mapping[str, Any], environ: Mapping[str, str]) -> tuple[Settings, dict[str, str]]:
    path = settings_file(environ)
    layers: list[tuple[str, Mapping[str, Any]]] = [
        (str(path), _file(path, required=bool(environ.get(PREFIX + "CONFIG")))),
        ("environment", _environment(environ)),
        ("flag", {name: value for name, value in flags.items() if value is not None}),
    ]
    values: dict[str, Any] = {f.name: f.default for f in fields(Settings)}
    values |= {"home": platformdirs.user_data_path("spritemill"), "owner": _user()}
    sources: dict[str, str] = {}
    faults: list[Fault] = []
    for source, layer in layers:
        for name, raw in layer.items():
            if raw == "" and not _may_be_empty(name):
                continue
            try:
                values[name] = _convert(name, raw)
                sources[name] = source
            except ValueError as error:
                faults.append(
                    Fault(name, hide_password(str(raw)), str(error), f"It was set by: {source}.")
                )
    faults += _check(values)
    if faults:
        raise RequestError(faults)
    return Settings(**values), sources


def _may_be_empty(name: str) -> bool:
    """Whether an empty text is a value of this setting; of all others it is as if unset."""
    return _KINDS.get(name) is str and name != "owner"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return str(os.getuid())


def _file(path: Path, *, required: bool) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if not required:
            return {}
        problem = "there is no such file"
    except (OSError, ValueError) as error:  # which a number of too many digits is, too
        problem = f"it cannot be read as TOML: {error}"
    raise RequestError([Fault("settings file", str(path), problem)])


def _environment(environ: Mapping[str, str]) -> Mapping[str, str]:
    known = {PREFIX + f.name.upper(): f.name for f in fields(Settings)}
    return {known[key]: value for key, value in environ.items() if key in known}


def _convert(name: str, raw: Any) -> Any:
    """Raises ValueError that says what is needed."""
    if name not in _KINDS:
        raise ValueError("there is no such setting; `spritemill config` lists them all")
    kind = _KINDS[name]
    if kind is Path:
        return _path(raw)
    if name == "store_url" and raw and "://" not in str(raw):
        return str(_path(raw))
    if kind is str:
        return str(raw)
    needed = ValueError("a whole number is needed" if kind is int else "a number is needed")
    cut = kind is int and isinstance(raw, float) and not raw.is_integer()
    if cut or isinstance(raw, bool):
        raise needed
    try:
        return kind(raw)  # type: ignore[operator]  # a dataclass field's type is a class here
    except (TypeError, ValueError, OverflowError):
        raise needed from None


def _path(raw: Any) -> Path:
    try:
        return Path(raw).expanduser().absolute()
    except TypeError:
        raise ValueError("the name of a folder is needed") from None
    except RuntimeError as error:  # ~ and a name that no user here has
        raise ValueError(f"there is no such folder: {error}") from None


def _check(values: Mapping[str, Any]) -> list[Fault]:
    faults = _check_numbers(values)
    renew, lease = values["renew_seconds"], values["lease_seconds"]
    if renew * 2 > lease:
        problem = f"it must be at most half of lease_seconds, {lease:g}"
        remedy = "Lower it, or raise lease_seconds."
        faults.append(Fault("renew_seconds", f"{renew:g}", problem, remedy))
    choices = {
        "renderer": ("diffusion", "fake"),
        "compile": ("auto", "yes", "no"),
        "log_level": ("debug", "info", "warning", "error"),
    }
    for name, allowed in choices.items():
        if values[name] not in allowed:
            faults.append(Fault(name, values[name], f"it must be one of {', '.join(allowed)}"))
    return faults + _check_weights(values["owner_weights"]) + _check_urls(values)


def _check_weights(text: str) -> list[Fault]:
    try:
        _weights(text)
    except ValueError as error:
        return [Fault("owner_weights", text, str(error), "Such as: ada=3,bob=1.5")]
    return []


def _weights(text: str) -> dict[str, float]:
    """Raises ValueError."""
    found = dict[str, float]()
    for part in filter(None, (part.strip() for part in text.split(","))):
        owner, equals, number = part.rpartition("=")
        try:
            weight = float(number)
        except ValueError:
            weight = 0.0
        if not (owner and equals and 0 < weight < float("inf")):
            raise ValueError(f"{part} is not an owner, =, and a weight above 0")
        if owner.strip() in found:
            raise ValueError(f"{owner.strip()} is there twice")
        found[owner.strip()] = weight
    return found


def _check_numbers(values: Mapping[str, Any]) -> list[Fault]:
    faults = []
    for name in _ABOVE_ZERO:
        if not 0 < values[name] < float("inf"):
            faults.append(Fault(name, str(values[name]), "it must be above 0"))
    for name in ("workers", "grace_seconds"):
        if not 0 <= values[name] <= 1000:
            faults.append(Fault(name, str(values[name]), "it must be from 0 to 1000"))
    for name in _NOT_NEGATIVE:
        if not 0 <= values[name] < float("inf"):
            faults.append(Fault(name, str(values[name]), "it must be 0 or more"))
    for name in ("slots", "max_samples"):
        if values[name] < 1:
            faults.append(Fault(name, str(values[name]), "it must be at least 1"))
    return faults


def _check_broker(url: str) -> list[Fault]:
    try:
        parts = urlsplit(url)
    except ValueError:  # its text would show what is taken for the host
        return [Fault("broker_url", hide_password(url), "it is no URL", _ESCAPED)]
    if url and parts.scheme not in ("redis", "rediss", "redis+socket"):
        problem = "it must begin with redis:// or rediss://"
        return [Fault("broker_url", hide_password(url), problem)]
    if parts.scheme in ("redis", "rediss") and not _reads_as(_BROKER, url):
        return [Fault("broker_url", hide_password(url), _NO_ADDRESS, _ESCAPED)]
    return _check_tls(url, parse_qs(parts.query)) if parts.scheme == "rediss" else []


def _check_tls(url: str, options: Mapping[str, Sequence[str]]) -> list[Fault]:
    """Of an option that is given twice, redis-py takes the first, kombu the last."""
    if set(options.get("ssl_cert_reqs", ())) != {"required"}:
        problem = "its ssl_cert_reqs is not `required`: who answers would not be checked"
        remedy = "Add ?ssl_cert_reqs=required to the URL, once."
    elif not {value.lower() for value in options.get("ssl_check_hostname", ())} <= _TRUE:
        problem = "its ssl_check_hostname is not `true`: any host's certificate would do"
        remedy = "Leave ssl_check_hostname out."
    else:
        return []
    return [Fault("broker_url", hide_password(url), problem, remedy)]


def _check_database(url: str) -> list[Fault]:
    if not url or url.startswith("sqlite:///"):
        return []
    if not url.startswith("postgresql+psycopg://"):
        problem = "it must begin with postgresql+psycopg:// or sqlite:///"
        return [Fault("database_url", hide_password(url), problem)]
    if not _reads_as(_DATABASE, url):
        return [Fault("database_url", hide_password(url), _NO_ADDRESS, _ESCAPED)]
    return []


def _reads_as(address: re.Pattern[str], url: str) -> bool:
    """Whether host and port are what they seem, to the readers of this kind of URL."""
    found = address.fullmatch(url)
    return found is not None and int(found["port"] or 0) < 2**16


def _check_urls(values: Mapping[str, Any]) -> list[Fault]:
    faults = _check_broker(values["broker_url"]) + _check_database(values["database_url"])
    store = values["store_url"]
    if "://" in store and not store.startswith("s3://"):
        problem = "it must be s3://bucket/prefix or a folder"
        faults.append(Fault("store_url", hide_password(store), problem))
    return faults
