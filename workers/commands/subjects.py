"""What can be evaluated: sprites of a model, drawn as a request's are, or of a finished dataset."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core import settings, storage, weights
from core.dataset.reader import sprites
from core.dataset.source import FolderSource, Source, StoreSource, read_manifest
from core.errors import UsageError
from core.evaluation.options import Options
from core.evaluation.report import Subject
from core.request import load
from core.request.plan import Shard, plan
from core.request.sampling import in_words
from core.request.spec import Request, Sampling
from core.weights.spec import ModelSpec
from workers.model_cache import ModelCache
from workers.render import Renderer, render_samples

Tell = Callable[[str, int, int], None]
"""Hears what is going on, how much of it is done, and of how much."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """Sprites [N, S, S, 4], the class that each was asked for as (or ""), and what they are of."""

    images: NDArray[np.uint8]
    classes: tuple[str, ...]
    subject: Subject


@dataclass(frozen=True, slots=True)
class Drawer:
    """A model that draws as many sprites of each of its classes."""

    spec: ModelSpec
    sha256: str
    renderer: Renderer

    def check(self, options: Options, sampling: Sampling | None = None) -> None:
        """Raises RequestError for choices that the model cannot be drawn with."""
        plan(_request(self.spec, options, sampling), self.spec)

    def draw(self, options: Options, tell: Tell, sampling: Sampling | None = None) -> Drawn:
        """Sprites by these choices, or else the model's own. Raises RequestError."""
        made = plan(_request(self.spec, options, sampling), self.spec)
        samples = list(made.samples(Shard(0, 0, made.total)))
        told = in_words(made.request.sampling)
        images = render_samples(made, samples, self.renderer, _Told(told, made.total, tell))
        subject = Subject("model", self.spec.name, self.sha256, told, made.total)
        return Drawn(images, tuple(sample.context.class_name for sample in samples), subject)


class _Told:
    """Passes on how many sprites are drawn."""

    def __init__(self, state: str, total: int, tell: Tell) -> None:
        self._state, self._total, self._tell = state, total, tell

    def step(self) -> None:
        """Steps are too many to tell."""

    def rendered(self, samples: int) -> None:
        self._tell(self._state, samples, self._total)

    def finishing(self) -> None:
        """What follows is told by who asked."""


def drawer(options: Options) -> Drawer | None:
    """The model that is asked for, loaded; None if it is a dataset. Raises ModelError."""
    if options.kind == "file":
        from workers import renderer

        path = Path(options.subject)
        spec = weights.read_spec(path)
        return Drawer(spec, weights.sha256(path), renderer.load(path, settings.load()))
    if options.kind == "weights":
        read = settings.load()
        models = ModelCache(read, storage.connect(read))
        sha256 = options.subject
        return Drawer(models.spec(sha256), sha256, models.renderer(sha256))
    return None


def dataset_size(options: Options) -> int:
    """The width of a dataset's sprites. Raises CorruptError, UsageError."""
    return read_manifest(_source(options)).model.size


def read_dataset(options: Options, tell: Tell) -> Drawn:
    """Sprites of a dataset, evenly from first to last. Raises CorruptError, UsageError."""
    source = _source(options)
    manifest = read_manifest(source)
    total = manifest.samples
    wanted = min(options.samples, total)
    images, classes = [], []
    for number, (record, image) in enumerate(sprites(source, manifest)):
        if number * wanted // total > (number - 1) * wanted // total:
            images.append(image)
            classes.append(record.class_name)
            tell("reading", number + 1, total)
    if not images:
        raise UsageError(f"dataset = {options.name}: there are no sprites in it.")
    subject = Subject("dataset", options.name, manifest.weights, "as requested", len(images))
    return Drawn(np.stack(images), tuple(classes), subject)


def _source(options: Options) -> Source:
    if options.kind == "folder":
        return FolderSource(Path(options.subject))
    return StoreSource(storage.connect(settings.load()), options.subject)


def _request(spec: ModelSpec, options: Options, sampling: Sampling | None) -> Request:
    contexts: list[dict[str, object]] = [{"class": name} for name in spec.classes]
    contexts = contexts or [{"unconditional": True}]
    asked = {
        "samples": max(1, options.samples // len(contexts)),
        "contexts": contexts,
        "seed": options.seed,
        "pixels": {"alpha": "binary" if spec.channels == 4 else "opaque"},
        "sampling": sampling.model_dump(exclude_none=True) if sampling else {},
    }
    return load.check(asked)
