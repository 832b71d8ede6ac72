"""Models by name: the one that comes with Spritemill, and those registered in the ledger."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core import weights
from core.errors import Fault, NotFoundError, RequestError
from core.request.load import nearest
from core.weights.spec import ModelSpec

if TYPE_CHECKING:
    from core.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Model:
    """A model that requests may name; `weights` is the SHA-256 of its file."""

    spec: ModelSpec
    weights: str
    bundled: bool


def bundled() -> Model:
    """Raises ModelError."""
    path = weights.bundled()
    return Model(weights.read_spec(path), weights.sha256(path), bundled=True)


def listed(ledger: "Ledger | None") -> list[Model]:
    """All models, the bundled one first."""
    return [bundled(), *_registered(ledger)]


def named(name: str, ledger: "Callable[[], Ledger | None]") -> Model:
    """The model of a request. Raises RequestError, offering the nearest names."""
    first = bundled()
    if first.spec.name == name:
        return first
    known = _registered(ledger())
    for model in known:
        if model.spec.name == name:
            return model
    names = [model.spec.name for model in (first, *known)]
    raise RequestError([Fault("model", name, "there is no such model", nearest(name, names))])


def of_weights(sha256: str, ledger: "Ledger") -> Model:
    """The model whose weights a job has pinned. Raises NotFoundError."""
    for model in listed(ledger):
        if model.weights == sha256:
            return model
    raise NotFoundError(
        f"weights = {sha256[:16]}: no model here has them.",
        remedy="They came with another version of Spritemill, or were removed.",
    )


def _registered(ledger: "Ledger | None") -> list[Model]:
    if ledger is None:
        return []
    from core.ledger import models

    return [
        Model(ModelSpec.model_validate_json(row.spec), row.sha256, bundled=False)
        for row in models.list(ledger)
    ]
