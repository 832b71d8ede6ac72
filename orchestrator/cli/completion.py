"""What the shell offers after TAB: jobs, datasets, workers, models and classes that are there."""

from pathlib import Path

import typer

from orchestrator.cli.session import Session

Offers = list[tuple[str, str]]


def jobs(context: typer.Context, incomplete: str) -> Offers:
    with _session(context).service() as service:
        found = [(job.id, f"{job.name}, {job.state}") for job in service.list()]
    return _beginning(incomplete, [*found, ("latest", "the newest")])


def datasets(context: typer.Context, incomplete: str) -> Offers:
    """The jobs that have one, and the folders that are one."""
    with _session(context).service() as service:
        found = [(job.id, job.name) for job in service.list(states=["succeeded"])]
    return _beginning(incomplete, [*found, ("latest", "the newest"), *_folders(incomplete)])


def workers(context: typer.Context, incomplete: str) -> Offers:
    """Those that are there."""
    with _session(context).service() as service:
        alive = [each for each in service.workers() if each.state != "gone"]
    found: Offers = [(each.id, each.state) for each in alive]
    return _beginning(incomplete, found)


def models(context: typer.Context, incomplete: str) -> Offers:
    with _session(context).service() as service:
        found = service.models()
    return _beginning(incomplete, [(model.spec.name, model.spec.title) for model in found])


def classes(incomplete: str) -> Offers:
    """The bundled model's: flags without a request file are for it."""
    from core import weights

    spec = weights.read_spec(weights.bundled())
    return _beginning(incomplete, [(name, spec.name) for name in spec.classes])


def _folders(incomplete: str) -> Offers:
    """The datasets beside what is typed."""
    from core.dataset.layout import MANIFEST

    before = incomplete[: incomplete.rfind("/") + 1]
    found = sorted(Path(before).glob(f"*/{MANIFEST}"))
    return [(before + path.parent.name, "a folder") for path in found]


def _session(context: typer.Context) -> Session:
    return Session(flags={"home": context.find_root().params.get("home")})


def _beginning(incomplete: str, offers: Offers) -> Offers:
    return [offer for offer in offers if offer[0].startswith(incomplete)]
