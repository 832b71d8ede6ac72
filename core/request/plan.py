"""The plan: a request as numbered samples in shards. Pure arithmetic, whatever the size of the job.

Samples are numbered context by context. A shard is a fixed run of numbers, so contexts that few
samples share one, and shard i is known without looking at any other.
"""

import bisect
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

from core import weights
from core.errors import Fault, RequestError
from core.request import control, images, sampling
from core.request.contexts import Context, Vocabulary, build, identity, label_of
from core.request.load import bounded, canonical
from core.request.quality import ENCODER_SIZE
from core.request.spec import Asked, ContextSpec, Outputs, Parent, Request
from core.weights.spec import ModelSpec

RENDERER_VERSION = 4
"""Raised whenever the same request, weights and numerics class would give other pixels."""

_LOOKED_FOR = 100  # faults: what was perhaps meant takes 2 ms to find
_SHARDS_PER_JOB = 64


@dataclass(frozen=True, slots=True)
class Sample:
    """One sprite to make: `key` names it in the dataset, the 16 bytes of `noise_key` its noise."""

    number: int
    context: Context
    index: int
    key: str
    noise_key: bytes


@dataclass(frozen=True, slots=True)
class Shard:
    """Samples `first` to `first + count - 1`."""

    number: int
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class _Entry:
    """A request's entry with what its contexts' and samples' numbers start at."""

    spec: ContextSpec
    first_context: int
    first_sample: int
    contexts: int
    samples: int  # of each context
    first_index: int


class Plan:
    """A resolved request with every number that follows from it.

    Of `total` samples the first `kept`, in `kept_shards` shards, are a parent's; `new` are to be
    rendered, in `shard_count` shards.
    """

    def __init__(self, request: Request, spec: ModelSpec) -> None:
        self.request = _resolve(request, spec)
        self.spec = spec
        self._vocabulary = Vocabulary(spec)
        self._entries = _entries(request)
        last = self._entries[-1]
        self.context_count = sum(e.contexts for e in self._entries if not e.first_index)
        self.total = last.first_sample + last.contexts * last.samples
        parent = request.parent if isinstance(request.parent, Parent) else None
        self.kept = parent.samples if parent else 0
        self.kept_shards = parent.shards if parent else 0
        self.new = self.total - self.kept
        self.shard_samples = request.outputs.shard_samples or _shard_samples(self.new)
        self.shard_count = -(-self.new // self.shard_samples)
        self._sample_starts = [entry.first_sample for entry in self._entries]
        self._context_starts = [entry.first_context for entry in self._entries]

    def shard(self, number: int) -> Shard:
        """The number-th shard to render; those of the parent come before it."""
        first = self.kept + number * self.shard_samples
        if not 0 <= number < self.shard_count:
            raise IndexError(number)
        count = min(self.shard_samples, self.total - first)
        return Shard(self.kept_shards + number, first, count)

    def context(self, number: int) -> Context:
        entry = self._entries[bisect.bisect_right(self._context_starts, number) - 1]
        asked = asked_at(entry.spec, number - entry.first_context)
        return build(number, asked, entry.spec.negative, self._vocabulary, entry.spec.start)

    def contexts(self) -> Iterator[tuple[Context, int]]:
        """Every context with the number of its samples."""
        added = self._added()
        for entry in self._entries:
            if not entry.first_index:
                for number in range(entry.first_context, entry.first_context + entry.contexts):
                    context = self.context(number)
                    yield context, entry.samples + added.get(context.id, 0)

    def _added(self) -> Counter[str]:
        """How many samples later entries add to each context."""
        added: Counter[str] = Counter()
        for entry in self._entries:
            if entry.first_index:
                for step in range(entry.contexts):
                    added[name_at(entry.spec, step)] += entry.samples
        return added

    def samples(self, shard: Shard) -> Iterator[Sample]:
        """The samples of a shard, in order."""
        context: Context | None = None
        for number in range(shard.first, shard.first + shard.count):
            entry = self._entries[bisect.bisect_right(self._sample_starts, number) - 1]
            step, offset = divmod(number - entry.first_sample, entry.samples)
            index = entry.first_index + offset
            if context is None or context.number != entry.first_context + step:
                context = self.context(entry.first_context + step)
            key = f"{context.slug}-{context.id}-{index:06d}"
            noise = noise_key(self.request.seed, context.id, index)
            yield Sample(number, context, index, key, noise)

    def spread(self, count: int) -> Iterator[Sample]:
        """At most `count` samples, evenly spread over all."""
        shown = min(count, self.total)
        for place in range(shown):
            yield from self.samples(Shard(0, place * self.total // shown, 1))


def plan(request: Request, spec: ModelSpec, max_samples: int = 100_000_000) -> Plan:
    """Plan a request. Raises RequestError with every fault that only the model shows."""
    faults = list(islice(_faults(request, spec), _LOOKED_FOR))
    if faults:
        raise RequestError(bounded(faults))
    made = Plan(request, spec)
    if made.total > max_samples:
        problem = f"at most {max_samples:,} are taken at once"
        remedy = "Ask for fewer, or raise the setting max_samples."
        raise RequestError([Fault("samples", f"{made.total:,}", problem, remedy)])
    return made


def noise_key(seed: int, context_id: str, index: int, retry: int = 0) -> bytes:
    """16 bytes that key a sample's noise, whatever else is rendered beside it."""
    return hashlib.sha256(f"{seed}/{context_id}/{index}/{retry}".encode()).digest()[:16]


_NEUTRAL = {"name": "sprites", "priority": 0, "workers": None,
            "deadline": None, "budget": None, "at_end": None}  # fmt: skip


def digest(made: Plan, weights_sha256: str, renderer: int = RENDERER_VERSION) -> str:
    """64 hex digits: equal for requests that give equal datasets on equal hardware."""
    neutral = {**_NEUTRAL, "contexts": _named(made.request.contexts), "outputs": Outputs()}
    content = made.request.model_copy(update={**neutral, **_judged(made)})
    if isinstance(content.parent, Parent):  # its digest tells which; where it lies does not matter
        content = content.model_copy(update={"parent": content.parent.digest})
    text = f"{renderer}\n{weights_sha256}\n{canonical(content)}"
    if content.quality is not None and content.quality.by_encoder:
        text += "".join(f"\n{weights.sha256(path)}" for path in weights.judges())
    return hashlib.sha256(text.encode()).hexdigest()


def _named(contexts: tuple[ContextSpec, ...]) -> tuple[ContextSpec, ...]:
    """The contexts with their pictures named by their pixels."""
    if not any(each.image for each in contexts):
        return contexts
    return tuple(
        each.model_copy(update={"image": images.name(each.image), "mask": images.name(each.mask)})
        for each in contexts
    )


def _judged(made: Plan) -> dict[str, Any]:
    """What of the quality rules, and of the cut into shards for their sake, decides on pixels."""
    rules = made.request.quality
    if rules is None:
        return {}
    found: dict[str, Any] = {"quality": rules.model_copy(update={"drift": None})}
    if rules.apart is not None:
        found["outputs"] = Outputs(shard_samples=made.shard_samples)
    return found


def _resolve(request: Request, spec: ModelSpec) -> Request:
    resolved = sampling.resolve(request.sampling, spec)
    alpha = request.pixels.alpha or ("binary" if spec.channels == 4 else "opaque")
    pixels = request.pixels.model_copy(update={"size": spec.size, "alpha": alpha})
    return request.model_copy(update={"sampling": resolved, "pixels": pixels})


def _entries(request: Request) -> list[_Entry]:
    entries, context, sample = [], 0, 0
    for spec in request.contexts:
        contexts = len(spec.product.classes) * len(spec.product.text) if spec.product else 1
        samples = spec.samples or request.samples or 0
        entries.append(_Entry(spec, context, sample, contexts, samples, spec.first or 0))
        context += contexts
        sample += contexts * samples
    return entries


def asked_at(spec: ContextSpec, step: int) -> Asked:
    """What the step-th context of an entry asks for."""
    if spec.product is None:
        return spec
    row, column = divmod(step, len(spec.product.text))
    return Asked.model_construct(
        class_name=spec.product.classes[row], text=spec.product.text[column]
    )


def name_at(spec: ContextSpec, step: int) -> str:
    """The identity of the step-th context of an entry."""
    return identity(asked_at(spec, step), spec.negative, spec.start)


def _shard_samples(total: int) -> int:
    """Small jobs: enough shards to share and to resume; large ones: few enough to keep books of."""
    wanted = -(-total // _SHARDS_PER_JOB)
    return max(32, min(2048, -(-wanted // 32) * 32))


def _faults(request: Request, spec: ModelSpec) -> Iterator[Fault]:
    size, alpha = request.pixels.size, request.pixels.alpha
    if size not in (None, spec.size):
        yield Fault("pixels.size", str(size), f"the model {spec.name} makes {spec.size}")
    yield from sampling.faults(request.sampling, spec)
    if spec.channels < 4 and alpha not in (None, "opaque"):
        yield Fault("pixels.alpha", alpha, f"the model {spec.name} has no alpha", "Use opaque.")
    if request.quality and request.quality.by_encoder and spec.size != ENCODER_SIZE:
        yield Fault(
            "quality", "", f"agreement and novelty are judged at {ENCODER_SIZE} x {ENCODER_SIZE} "
            f"pixels; the model {spec.name} makes {spec.size}", "Leave them out.",
        )  # fmt: skip
    yield from control.faults(request, spec)
    vocabulary, seen = Vocabulary(spec), dict[str, tuple[str, int]]()
    for number, entry in enumerate(request.contexts):
        field = f"contexts[{number}]"
        if entry.samples is None and request.samples is None:
            yield Fault(f"{field}.samples", "", "it is missing", "Give it here or for all.")
        yield from _context_faults(entry, field, vocabulary)
        yield from _repeats(entry, entry.samples or request.samples or 0, field, seen)


def _context_faults(entry: ContextSpec, field: str, vocabulary: Vocabulary) -> Iterator[Fault]:
    yield from vocabulary.faults(entry, field)
    if entry.product is not None:
        listed = [
            [Asked.model_construct(class_name=name) for name in entry.product.classes],
            [Asked.model_construct(text=text) for text in entry.product.text],
        ]
        for place, asked in chain.from_iterable(map(enumerate, listed)):
            for fault in vocabulary.faults(asked, f"{field}.product"):
                yield replace(fault, field=f"{fault.field}[{place}]")
    if entry.negative is not None:
        yield from vocabulary.faults(entry.negative, f"{field}.negative")


def _repeats(
    entry: ContextSpec, samples: int, field: str, seen: dict[str, tuple[str, int]]
) -> Iterator[Fault]:
    """Faults of an entry beside those above: `seen` has the field and the end of each context."""
    count = len(entry.product.classes) * len(entry.product.text) if entry.product else 1
    first = entry.first or 0
    for step in range(count):
        name = name_at(entry, step)
        before, end = seen.get(name, ("", 0))
        if before and not first:
            yield _repeated(label_of(asked_at(entry, step)), field, before)
            return
        if first != end:
            yield Fault(f"{field}.first", str(first), "it does not go on where the context ends",
                        f"Say first: {end}." if end else "Leave it out.")  # fmt: skip
            return
        seen[name] = (field, first + samples)


def _repeated(label: str, field: str, before: str) -> Fault:
    if before == field:
        remedy = "Name each class and each text once."
        return Fault(f"{field}.product", label, "it asks for this twice", remedy)
    remedy = "Ask once, with the sum of the samples."
    return Fault(field, label, f"it asks for the same as {before}", remedy)
