"""Weights that were registered, besides the bundled ones."""

import builtins
from dataclasses import asdict, dataclass, fields

from sqlalchemy import ColumnElement, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from core.errors import ConflictError, NotFoundError
from core.ledger import schema
from core.ledger.clock import now
from core.ledger.engine import Ledger
from core.ledger.states import TERMINAL

_models, _jobs = schema.models, schema.jobs


@dataclass(frozen=True, slots=True)
class Model:
    """Weights by their hash, with the spec as JSON and where in the store they lie."""

    sha256: str
    name: str
    spec: str
    key: str
    size: int


def add(ledger: Ledger, model: Model) -> None:
    """Register weights. The same weights again are fine: what was said first stays."""
    try:
        with ledger.write() as connection:
            connection.execute(insert(_models).values(added_at=now(), **asdict(model)))
    except IntegrityError:
        get(ledger, model.sha256)


def renew(ledger: Ledger, sha256: str) -> None:
    """Let the name of weights that are there mean these, also if it was given to others since."""
    with ledger.write() as connection:
        own = update(_models).where(_models.c.sha256 == sha256)
        connection.execute(own.values(added_at=now()))


def get(ledger: Ledger, name: str) -> Model:
    """The weights with this hash, else the newest of this name. Raises NotFoundError."""
    found = _select(ledger, or_(_models.c.sha256 == name, _models.c.name == name))
    if not found:
        raise NotFoundError(
            f"model {name}: there is none.", remedy="`spritemill models list` lists them all."
        )
    return next((model for model in found if model.sha256 == name), found[0])


def remove(ledger: Ledger, sha256: str) -> None:
    """Forget weights. Gone already is fine. Raises ConflictError while a job needs them."""
    unfinished = select(_jobs.c.id).where(
        _jobs.c.weights == sha256, _jobs.c.state.not_in([state.value for state in TERMINAL])
    )
    with ledger.write() as connection:
        if job := connection.execute(unfinished.limit(1)).scalar():
            raise ConflictError(
                f"model {sha256[:16]}: job {job} is not over and draws with it.",
                remedy=f"Wait for it, or first: spritemill cancel {job}",
            )
        connection.execute(delete(_models).where(_models.c.sha256 == sha256))


def list(ledger: Ledger) -> builtins.list[Model]:  # noqa: A001  # read as models.list
    """All, newest first."""
    return _select(ledger)


def _select(ledger: Ledger, *where: ColumnElement[bool]) -> builtins.list[Model]:
    columns = [_models.c[field.name] for field in fields(Model)]
    query = select(*columns).where(*where).order_by(_models.c.added_at.desc(), _models.c.sha256)
    with ledger.read() as connection:
        return [Model(**row) for row in connection.execute(query).mappings()]
