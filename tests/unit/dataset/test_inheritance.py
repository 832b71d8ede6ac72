import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from core.dataset import assembly
from core.dataset.inheritance import Inheritance
from core.dataset.layout import INDEX, MANIFEST, dataset_prefix, part_key, shard_key
from core.dataset.manifest import Manifest, Quarantined, decode
from core.dataset.repair import repair
from core.dataset.shard import pack
from core.dataset.source import StoreSource
from core.dataset.upload import upload
from core.dataset.verify import verify
from core.errors import ConflictError, CorruptError
from core.request import extension
from core.request.load import canonical
from core.request.plan import digest, plan
from core.request.spec import Parent
from tests.unit.dataset.bench import JOB, SPEC, WEIGHTS, Bench, Done, folder_store
from tests.unit.dataset.renderer import Renderer

CHILD, GRANDCHILD = "bcdefghijk34", "cdefghijkl45"


@dataclass
class Child:
    """A job that extends another's dataset, in the same store."""

    bench: Bench
    job: str

    def assemble(self) -> Manifest:
        finished = replace(self.bench.finished, job=self.job)
        return assembly.assemble(self.bench.store, finished, self.bench.done)

    @property
    def source(self) -> StoreSource:
        return StoreSource(self.bench.store, self.job)

    @property
    def manifest(self) -> Manifest:
        with self.source.open(MANIFEST) as opened:
            return decode(opened.read())


def extend(parent: Bench, job: str, source: StoreSource, samples: int) -> Child:
    with source.open(MANIFEST) as opened:
        manifest = decode(opened.read())
    base = Parent(
        job=manifest.job,
        digest=manifest.dataset_digest,
        samples=parent.plan.total,
        shards=len(manifest.shards),
    )
    had = parent.plan.request
    request = extension.extended(had, base, extension.more(had, samples))
    made = plan(request, SPEC)
    finished = replace(
        parent.finished,
        job=job,
        request_text=canonical(request),
        request_digest=digest(made, WEIGHTS),
        numerics={"device": "H200"},
        quarantined=(),
    )
    bench = replace(parent, plan=made, finished=finished, done=[])
    bench.done = [render(bench, job, number) for number in range(made.shard_count)]
    return Child(bench, job)


def render(bench: Bench, job: str, number: int) -> Done:
    """As a worker does: the ledger's number, but the dataset's name."""
    shard = bench.plan.shard(number)
    samples = list(bench.plan.samples(shard))
    packed = pack(samples, bench.images(samples))
    sha256 = hashlib.sha256(packed.tar).hexdigest()
    key = shard_key(job, shard.number, sha256)
    part = part_key(job, shard.number, hashlib.sha256(packed.part).hexdigest())
    bench.store.put(key, packed.tar)
    bench.store.put(part, packed.part)
    size = len(packed.tar)
    return Done(number, packed.samples, key, sha256, size, part, packed.digest)


@pytest.fixture
def child(dataset: Bench) -> Child:
    made = extend(dataset, CHILD, StoreSource(dataset.store, JOB), 50)
    made.assemble()
    return made


def test_extended_dataset_is_proved_offline(child: Child) -> None:
    report = verify(child.source)
    assert report.ok
    assert (report.samples, report.digest) == (150, child.manifest.dataset_digest)


def test_every_shard_of_the_parent_stays_byte_for_byte(dataset: Bench, child: Child) -> None:
    old = dataset.manifest().shards
    assert child.manifest.shards[: len(old)] == old
    for shard in old:
        with child.source.open(shard.name) as copied:
            assert copied.read() == (dataset.folder / shard.name).read_bytes()
    assert [shard.number for shard in child.manifest.shards] == [0, 1, 2, 3, 4, 5]


def test_manifest_names_the_parent_and_its_numerics(dataset: Bench, child: Child) -> None:
    manifest = child.manifest
    [ancestor] = manifest.ancestors
    assert (ancestor.job, ancestor.digest) == (JOB, dataset.manifest().dataset_digest)
    assert (ancestor.samples, ancestor.shards) == (100, 4)
    assert manifest.numerics_of(3) == {"device": "cpu", "dtype": "float32"}
    assert manifest.numerics_of(4) == {"device": "H200"}


def test_grandchild_names_both(child: Child) -> None:
    last = extend(child.bench, GRANDCHILD, child.source, 60)
    manifest = last.assemble()
    assert verify(last.source).ok
    assert [each.job for each in manifest.ancestors] == [JOB, CHILD]
    assert [manifest.numerics_of(shard)["device"] for shard in (3, 4, 5, 6)] == [
        "cpu", "H200", "H200", "H200",
    ]  # fmt: skip


def test_finishing_again_after_a_crash_gives_the_same(child: Child) -> None:
    before = child.manifest
    child.bench.store.delete(dataset_prefix(CHILD) + MANIFEST)
    child.bench.store.delete(dataset_prefix(CHILD) + before.shards[0].name)
    assert child.assemble() == before


def test_extended_dataset_is_repaired_without_its_parent(dataset: Bench, child: Child) -> None:
    for info in list(dataset.store.list(dataset_prefix(JOB))):
        dataset.store.delete(info.key)
    before = child.manifest
    for shard in (before.shards[1], before.shards[5]):
        dataset.store.delete(dataset_prefix(CHILD) + shard.name)
    dataset.store.delete(dataset_prefix(CHILD) + INDEX)
    done = repair(child.source, Renderer(child.bench))
    assert done.rendered == before.shards[1].samples + before.shards[5].samples
    assert child.manifest == before


def test_quarantined_samples_of_the_parent_stay_named(bench: Bench) -> None:
    sample = next(bench.plan.samples(bench.plan.shard(3)))
    bench.store.delete(bench.done[3].key)
    bench.done[3] = bench.render(3, without=sample.number)
    named = Quarantined(number=sample.number, key=sample.key, reason="NaN")
    assembly.clean(bench.store, bench.assemble(quarantined=(named,)))
    made = extend(bench, CHILD, StoreSource(bench.store, JOB), 50)
    assert made.assemble().quarantined == (named,)
    assert verify(made.source).ok


def test_parent_that_is_gone_is_told(dataset: Bench) -> None:
    made = extend(dataset, CHILD, StoreSource(dataset.store, JOB), 50)
    dataset.store.delete(dataset_prefix(JOB) + MANIFEST)
    with pytest.raises(ConflictError, match="not in the store any more"):
        made.assemble()


def test_parent_with_another_digest_is_refused(dataset: Bench) -> None:
    parent = Parent(job=JOB, digest="0" * 64, samples=100, shards=4)
    with pytest.raises(ConflictError, match="its digest is"):
        Inheritance(dataset.store, parent)


def test_damaged_shard_is_not_inherited(dataset: Bench) -> None:
    made = extend(dataset, CHILD, StoreSource(dataset.store, JOB), 50)
    path = dataset.folder / dataset.manifest().shards[2].name
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(CorruptError, match=f"repair {JOB}"):
        made.assemble()


def test_dataset_from_elsewhere_is_copied_to_the_store(dataset: Bench, tmp_path: Path) -> None:
    store = folder_store(tmp_path / "other")
    seen: list[tuple[int, int]] = []
    manifest = upload(dataset.source, store, lambda done, total: seen.append((done, total)))
    assert verify(StoreSource(store, manifest.job)).ok
    assert seen[-1][0] == seen[-1][1]
    seen.clear()
    assert upload(dataset.source, store, lambda done, total: seen.append((done, total))) == manifest
    assert not seen, "it is there already"


@pytest.mark.parametrize("damage", ["flip", "other"])
def test_dataset_that_is_not_its_own_is_not_copied(
    dataset: Bench, tmp_path: Path, damage: str, bench_of: Callable[[str], Bench]
) -> None:
    store = folder_store(tmp_path / "other")
    if damage == "other":
        upload(dataset.source, store)
        dataset.forge(dataset_digest="0" * 64)
        with pytest.raises(ConflictError, match="another dataset"):
            upload(dataset.source, store)
    else:
        path = dataset.folder / INDEX
        path.write_bytes(path.read_bytes()[:-1] + b"x")
        with pytest.raises(CorruptError, match=INDEX):
            upload(dataset.source, store)
        assert store.head(dataset_prefix(JOB) + MANIFEST) is None
