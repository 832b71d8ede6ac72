"""From refused drawings to what manifest, card, index and page tell of them."""

import hashlib
import io
import tarfile
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.dataset import index
from core.dataset.layout import INDEX, part_key, shard_key
from core.dataset.page.facts import gather
from core.dataset.reader import sprites
from core.dataset.refusals import of
from core.dataset.shard import Packed, Packer
from core.dataset.verify import verify
from core.sprites import quality
from tests.unit.dataset.bench import JOB, Bench, Done
from workers.fake_renderer import FakeRenderer
from workers.render import render_shard

REQUEST = """
name: strict
seed: 3
contexts:
  - {class: potion, samples: 40}
  - {class: hero, samples: 25}
quality: {cover: [0.45, 0.6], apart: 40, tries: 2}
outputs: {shard_samples: 32}
"""


class Unwatched:
    """Nobody listens."""

    def step(self) -> None: ...

    def rendered(self, samples: int) -> None: ...

    def finishing(self) -> None: ...


def store(bench: Bench, number: int, packed: Packed) -> Done:
    sha256 = hashlib.sha256(packed.tar).hexdigest()
    key = shard_key(JOB, number, sha256)
    part = part_key(JOB, number, hashlib.sha256(packed.part).hexdigest())
    bench.store.put(key, packed.tar)
    bench.store.put(part, packed.part)
    size = len(packed.tar)
    return Done(number, packed.samples, key, sha256, size, part, packed.digest)


def test_judged_record_is_told_from_its_row_to_the_byte(bench_of: Callable[[str], Bench]) -> None:
    plan = bench_of(REQUEST).plan
    sample, image = next(plan.samples(plan.shard(0))), np.full((1, 32, 32, 4), 255, np.uint8)
    packer = Packer()
    packer.add([sample], image, [{"sound": 1.0, "cover": 0.5, "refused_cover": 2.0}])
    packed = packer.finish()
    with tarfile.open(fileobj=io.BytesIO(packed.tar)) as tar:
        written = [tar.extractfile(file) for file in tar if file.name.endswith(".json")]
        (raw,) = [each.read() for each in written if each]
    (row,) = pq.read_table(io.BytesIO(packed.part)).to_pylist()
    assert index.record(row).encode() == raw


@pytest.fixture
def strict(bench_of: Callable[[str], Bench]) -> tuple[Bench, list[Packed]]:
    """A finished dataset of which some drawings were refused."""
    bench = bench_of(REQUEST)
    plan = bench.plan
    packed = [
        render_shard(plan, plan.shard(n), FakeRenderer(32, 1e9), Unwatched())
        for n in range(plan.shard_count)
    ]
    bench.done = [store(bench, number, each) for number, each in enumerate(packed)]
    bench.assemble()
    return bench, packed


def test_dataset_with_unfilled_samples_is_sound(strict: tuple[Bench, list[Packed]]) -> None:
    bench, packed = strict
    report = verify(bench.source)
    assert report.problems == ()
    assert 0 < report.samples == sum(each.samples for each in packed) < bench.plan.total


def test_manifest_names_each_unfilled_sample_and_counts_all_refusals(
    strict: tuple[Bench, list[Packed]],
) -> None:
    bench, packed = strict
    manifest = bench.manifest()
    assert len(manifest.quarantined) == sum(each.unfilled for each in packed) > 0
    there = {row["number"] for row in index.rows(bench.folder / INDEX)}
    missing = {sample.number for sample in manifest.quarantined}
    assert there | missing == set(range(bench.plan.total))
    assert not there & missing
    assert all(sum(sample.refused.values()) == 2 for sample in manifest.quarantined)
    counted = {rule: sum(p.refused.get(rule, 0) for p in packed) for rule in manifest.refused}
    assert manifest.refused == counted
    assert "all 2 drawings were refused: cover 2" in {q.reason for q in manifest.quarantined}


def test_refusals_of_the_page_are_those_of_the_manifest(
    strict: tuple[Bench, list[Packed]],
) -> None:
    bench, _ = strict
    manifest = bench.manifest()
    facts = gather(bench.plan, manifest, bench.folder / INDEX)
    assert dict(facts.refusals.by_rule) == manifest.refused
    assert facts.refusals.unfilled.total() == len(manifest.quarantined)
    assert set(facts.refusals.by_context) == {"potion", "hero"}


def test_every_sprite_that_is_there_keeps_the_rules(strict: tuple[Bench, list[Packed]]) -> None:
    bench, _ = strict
    for row in index.rows(bench.folder / INDEX):
        record = index.record(row)
        assert 0.45 <= record.scores["cover"] <= 0.6
        assert sum(of(record.scores).values()) <= 1


def test_card_and_page_tell_of_refusals(strict: tuple[Bench, list[Packed]]) -> None:
    bench, _ = strict
    manifest = bench.manifest()
    told = f"{sum(manifest.refused.values()):,} drawings were refused and drawn anew"
    assert told in (bench.folder / "README.md").read_text()
    page = (bench.folder / "report.html").read_text()
    assert told in page
    assert f"{len(manifest.quarantined)} samples could not be filled" in page
    assert manifest.quarantined[0].key in page


def test_dataset_without_rules_tells_of_none(dataset: Bench) -> None:
    assert dataset.manifest().refused == {}
    assert "Quality control" not in (dataset.folder / "README.md").read_text()
    assert "The request has no quality rules" in (dataset.folder / "report.html").read_text()


def test_near_duplicates_are_found_across_shards(bench_of: Callable[[str], Bench]) -> None:
    """The sprites of shard 1 are those of shard 0, each with one pixel more or less grey."""
    bench = bench_of(REQUEST.replace("apart: 40", "apart: 2").replace("25", "24"))
    shards = [list(bench.plan.samples(bench.plan.shard(number))) for number in (0, 1)]
    images = bench.images(shards[0])
    for number, samples in enumerate(shards):
        packer = Packer(prints=True)
        packer.add(samples, images)
        bench.done.append(store(bench, number, packer.finish()))
        images = images.copy()
        images[:, 5, 5, :3] ^= 16
    bench.assemble()
    page = (bench.folder / "report.html").read_text()
    first, last = (samples[0].key for samples in shards)
    assert "Across all shards 32 sprites look like one before" in page
    assert f"{first}, {last}" in page


def test_cover_of_the_index_is_that_of_the_pixels(strict: tuple[Bench, list[Packed]]) -> None:
    bench, _ = strict
    for record, image in sprites(bench.source, bench.manifest()):
        [share] = quality.cover(image[None])
        assert record.scores["cover"] == pytest.approx(share, abs=1e-4)


def test_index_and_parts_hold_no_prints_unless_the_rule_asks(
    strict: tuple[Bench, list[Packed]], rendered: Bench
) -> None:
    made, packed = strict
    assert "print" in pq.read_schema(pa.BufferReader(packed[0].part)).names
    assert "print" not in pq.read_schema(made.folder / INDEX).names
    part = rendered.store.get(rendered.done[0].part_key)
    assert "print" not in pq.read_schema(pa.BufferReader(part)).names
