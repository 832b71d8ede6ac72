"""Models by name: the one that comes with Spritemill, and those registered in the ledger."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core import weights
from core.errors import ConflictError, Fault, ModelError, NotFoundError, RequestError, UsageError
from core.request.names import nearest
from core.training.options import NAME
from core.weights import container
from core.weights.spec import ModelSpec

if TYPE_CHECKING:
    from core.ledger import Ledger
    from core.storage import Store

_SHORTEST_HASH = 8


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
    first = bundled()
    return [first, *_registered(ledger, first)]


def named(name: str, ledger: "Callable[[], Ledger | None]") -> Model:
    """The model of a request, by its name or its weights' hash, or the beginning of that.

    Of several with one name it is the newest. Raises RequestError, offering the nearest names.
    """
    first = bundled()
    if first.spec.name == name:
        return first
    there = [first, *_registered(ledger(), first)]
    if found := find(name, there):
        return found
    names = [model.spec.name for model in there]
    raise RequestError([Fault("model", name, "there is no such model", nearest(name, names))])


def find(name: str, models: Sequence[Model]) -> Model | None:
    """The first model of a name, else of a hash, of which 8 digits are enough."""
    by_hash = len(name) >= _SHORTEST_HASH
    return next(
        (model for model in models if model.spec.name == name),
        next((model for model in models if by_hash and model.weights.startswith(name)), None),
    )


def known(name: str, ledger: "Ledger | None") -> Model:
    """A model by its name or hash. Raises NotFoundError, offering the nearest names."""
    there = listed(ledger)
    if found := find(name, there):
        return found
    raise NotFoundError(
        f"model = {name}: there is none.",
        remedy=nearest(name, [model.spec.name for model in there]),
    )


def check(path: Path, name: str) -> tuple[ModelSpec, str]:
    """What a file of weights says of itself, under another `name` if one is given, and its hash.

    Raises ModelError for what is no model, UsageError for a bad name, ConflictError for a name
    that is taken by the bundled one, and for that one itself.
    """
    container.check(path)
    spec, sha256, first = weights.read_spec(path), weights.sha256(path), bundled()
    spec = spec.model_copy(update={"name": name or spec.name})
    if sha256 == first.weights:
        raise ConflictError(f"{path.name} is the bundled model {first.spec.name} itself.")
    if not NAME.fullmatch(spec.name):
        raise UsageError(
            f"name = {spec.name!r}: a model's name is of a-z, 0-9 and ._-, at most 63 of them.",
            remedy="Give another with --name.",
        )
    if spec.name == first.spec.name:
        raise ConflictError(
            f"name = {spec.name}: it is the bundled model's.", remedy="Give another with --name."
        )
    return spec, sha256


def add(path: Path, name: str, ledger: "Ledger", store: "Store") -> Model:
    """Register weights, under another `name` if one is given: first in the store, then named.

    Raises as `check` does, and ConflictError for weights that have another name already.
    """
    from core.ledger import models

    spec, sha256 = check(path, name)
    key = weights_key(sha256)
    info = store.put_file(key, path)
    if info.sha256 not in (None, sha256):
        store.delete(key)
        raise ModelError(f"{path} changed while it was read.", remedy="Add it again.")
    models.add(ledger, models.Model(sha256, spec.name, spec.model_dump_json(), key, info.size))
    row = models.get(ledger, sha256)
    if row.name != spec.name:
        raise ConflictError(
            f"name = {spec.name}: these weights are registered already, as {row.name}.",
            remedy=f"Use that name, or first: spritemill models remove {sha256[:16]}",
        )
    models.renew(ledger, sha256)
    return Model(ModelSpec.model_validate_json(row.spec), sha256, bundled=False)


def remove(name: str, ledger: "Ledger | None", store: "Store") -> Model:
    """Forget a registered model. Raises NotFoundError; ConflictError while a job needs it."""
    from core.ledger import models

    found = known(name, ledger)
    if found.bundled or ledger is None:  # without one no other is known
        raise ConflictError(f"model = {name}: it comes with Spritemill and stays.")
    models.remove(ledger, found.weights)
    store.delete(weights_key(found.weights))
    return found


def publish(store: "Store", ledger: "Ledger") -> None:
    """Have the bundled model in store and ledger, for a version that bundles another."""
    from core.ledger import models

    first, path = bundled(), weights.bundled()
    key = weights_key(first.weights)
    if store.head(key) is None:
        store.put_file(key, path)
    spec = first.spec.model_dump_json()
    models.add(ledger, models.Model(first.weights, first.spec.name, spec, key, path.stat().st_size))


def weights_key(sha256: str) -> str:
    """Where in the store weights lie, and workers look for those that they lack."""
    return f"models/{sha256}.safetensors"


def of_weights(sha256: str, ledger: "Ledger") -> Model:
    """The model whose weights a job has pinned. Raises NotFoundError."""
    for model in listed(ledger):
        if model.weights == sha256:
            return model
    raise NotFoundError(
        f"weights = {sha256[:16]}: no model here has them.",
        remedy="They came with another version of Spritemill, or were removed.",
    )


def _registered(ledger: "Ledger | None", first: Model) -> list[Model]:
    """Those in the ledger, which an orchestrator has told of the bundled one too."""
    if ledger is None:
        return []
    from core.ledger import models

    return [
        Model(ModelSpec.model_validate_json(row.spec), row.sha256, bundled=False)
        for row in models.list(ledger)
        if row.sha256 != first.weights
    ]
