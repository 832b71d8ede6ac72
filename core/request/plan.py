"""The plan: a request as numbered samples in shards. Pure arithmetic, whatever the size of the job.

Samples are numbered context by context. A shard is a fixed run of numbers, so contexts that few
samples share one, and shard i is known without looking at any other.
"""

import bisect
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from core.errors import Fault, RequestError
from core.request.contexts import Context, Vocabulary, build, identity
from core.request.load import canonical
from core.request.spec import Asked, ContextSpec, Request, Sampling
from core.weights.spec import ModelSpec

RENDERER_VERSION = 1
"""Raised whenever the same request, weights and numerics class would give other pixels."""

_MOST_FAULTS = 20
_SHARDS_PER_JOB = 64
_STEPS = {"ddpm": 500, "ddim": 25}


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


class Plan:
    """A resolved request with every number that follows from it."""

    def __init__(self, request: Request, spec: ModelSpec) -> None:
        self.request = _resolve(request, spec)
        self.spec = spec
        self._vocabulary = Vocabulary(spec)
        self._entries = _entries(request)
        last = self._entries[-1]
        self.context_count = last.first_context + last.contexts
        self.total = last.first_sample + last.contexts * last.samples
        self.shard_samples = request.outputs.shard_samples or _shard_samples(self.total)
        self.shard_count = -(-self.total // self.shard_samples)
        self._sample_starts = [entry.first_sample for entry in self._entries]
        self._context_starts = [entry.first_context for entry in self._entries]

    def shard(self, number: int) -> Shard:
        first = number * self.shard_samples
        if not 0 <= number < self.shard_count:
            raise IndexError(number)
        return Shard(number, first, min(self.shard_samples, self.total - first))

    def context(self, number: int) -> Context:
        entry = self._entries[bisect.bisect_right(self._context_starts, number) - 1]
        asked = _asked(entry.spec, number - entry.first_context)
        return build(number, asked, entry.spec.negative, self._vocabulary)

    def contexts(self) -> Iterator[tuple[Context, int]]:
        """Every context with the number of its samples."""
        for entry in self._entries:
            for number in range(entry.first_context, entry.first_context + entry.contexts):
                yield self.context(number), entry.samples

    def samples(self, shard: Shard) -> Iterator[Sample]:
        """The samples of a shard, in order."""
        context: Context | None = None
        for number in range(shard.first, shard.first + shard.count):
            entry = self._entries[bisect.bisect_right(self._sample_starts, number) - 1]
            step, index = divmod(number - entry.first_sample, entry.samples)
            if context is None or context.number != entry.first_context + step:
                context = self.context(entry.first_context + step)
            key = f"{context.slug}-{context.id}-{index:06d}"
            noise = noise_key(self.request.seed, context.id, index)
            yield Sample(number, context, index, key, noise)


def plan(request: Request, spec: ModelSpec, max_samples: int = 100_000_000) -> Plan:
    """Plan a request. Raises RequestError with every fault that only the model shows."""
    faults = _faults(request, spec)
    if faults:
        raise RequestError(faults)
    made = Plan(request, spec)
    if made.total > max_samples:
        raise RequestError(
            [Fault("samples", f"{made.total:,}", f"at most {max_samples:,} are taken at once")]
        )
    return made


def noise_key(seed: int, context_id: str, index: int, retry: int = 0) -> bytes:
    """16 bytes that key a sample's noise, whatever else is rendered beside it."""
    return hashlib.sha256(f"{seed}/{context_id}/{index}/{retry}".encode()).digest()[:16]


def digest(made: Plan, weights_sha256: str) -> str:
    """64 hex digits: equal for requests that give equal datasets on equal hardware."""
    content = made.request.model_copy(
        update={"name": "sprites", "priority": 0, "outputs": type(made.request.outputs)()}
    )
    text = f"{RENDERER_VERSION}\n{weights_sha256}\n{canonical(content)}"
    return hashlib.sha256(text.encode()).hexdigest()


def _resolve(request: Request, spec: ModelSpec) -> Request:
    asked, defaults = request.sampling, spec.defaults
    sampler = asked.sampler or defaults.sampler
    steps = defaults.steps if sampler == defaults.sampler else _STEPS.get(sampler, defaults.steps)
    sampling = Sampling(
        sampler=sampler,
        steps=asked.steps or steps,
        guidance=defaults.guidance if asked.guidance is None else asked.guidance,
        eta=(asked.eta or 0.0) if sampler == "ddim" else None,
        interval=asked.interval,
    )
    pixels = request.pixels.model_copy(update={"size": spec.size})
    return request.model_copy(update={"sampling": sampling, "pixels": pixels})


def _entries(request: Request) -> list[_Entry]:
    entries, context, sample = [], 0, 0
    for spec in request.contexts:
        contexts = len(spec.product.classes) * len(spec.product.text) if spec.product else 1
        samples = spec.samples or request.samples or 0
        entries.append(_Entry(spec, context, sample, contexts, samples))
        context += contexts
        sample += contexts * samples
    return entries


def _asked(spec: ContextSpec, step: int) -> Asked:
    """What the step-th context of an entry asks for."""
    if spec.product is None:
        return spec
    row, column = divmod(step, len(spec.product.text))
    return Asked.model_construct(
        class_name=spec.product.classes[row], text=spec.product.text[column]
    )


def _shard_samples(total: int) -> int:
    """Small jobs: enough shards to share and to resume; large ones: few enough to keep books of."""
    wanted = -(-total // _SHARDS_PER_JOB)
    return max(32, min(2048, -(-wanted // 32) * 32))


def _faults(request: Request, spec: ModelSpec) -> list[Fault]:
    faults = []
    if request.pixels.size not in (None, spec.size):
        faults.append(
            Fault(
                "pixels.size", str(request.pixels.size), f"the model {spec.name} makes {spec.size}"
            )
        )
    if spec.channels == 3 and request.pixels.alpha != "opaque":
        faults.append(
            Fault("pixels.alpha", request.pixels.alpha, f"the model {spec.name} has no alpha",
                  "Use opaque.")
        )  # fmt: skip
    vocabulary, seen = Vocabulary(spec), dict[str, str]()
    for number, entry in enumerate(request.contexts):
        field = f"contexts[{number}]"
        if entry.samples is None and request.samples is None:
            faults.append(
                Fault(f"{field}.samples", "", "it is missing", "Give it here or for all.")
            )
        faults += _context_faults(entry, field, vocabulary)
        if len(faults) >= _MOST_FAULTS:
            break
        faults += _repeats(entry, field, seen)
    return faults


def _context_faults(entry: ContextSpec, field: str, vocabulary: Vocabulary) -> list[Fault]:
    found = vocabulary.faults(entry, field)
    if entry.product is not None:
        for name in entry.product.classes:
            asked = Asked.model_construct(class_name=name)
            found += vocabulary.faults(asked, f"{field}.product")
        for text in entry.product.text:
            found += vocabulary.faults(Asked.model_construct(text=text), f"{field}.product")
    if entry.negative is not None:
        found += vocabulary.faults(entry.negative, f"{field}.negative")
    return found


def _repeats(entry: ContextSpec, field: str, seen: dict[str, str]) -> list[Fault]:
    count = len(entry.product.classes) * len(entry.product.text) if entry.product else 1
    for step in range(count):
        name = identity(_asked(entry, step), entry.negative)
        if name in seen:
            return [Fault(field, "", f"it asks for the same as {seen[name]}",
                          "Ask once, with the sum of the samples.")]  # fmt: skip
        seen[name] = field
    return []
