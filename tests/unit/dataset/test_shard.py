import hashlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import webdataset

from core.dataset import png, shard, tar
from core.dataset.record import pixels_sha256
from core.errors import CorruptError
from core.request.plan import Sample
from tests.unit.dataset.bench import Bench


@pytest.fixture
def samples(bench_of: Callable[[str], Bench]) -> list[Sample]:
    bench = bench_of(
        '{"contexts": [{"class": "hero", "samples": 9}, {"class": "potion", "samples": 2}]}'
    )
    return list(bench.plan.samples(bench.plan.shard(0)))


@pytest.fixture
def images(samples: list[Sample]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (len(samples), 32, 32, 4), dtype=np.uint8)


def test_equal_sprites_give_equal_bytes(samples: list[Sample], images: np.ndarray) -> None:
    assert shard.pack(samples, images) == shard.pack(list(samples), images.copy())


def test_sprites_come_back_with_their_records(samples: list[Sample], images: np.ndarray) -> None:
    packed = shard.pack(samples, images)
    for sample, image, (record, picture) in zip(
        samples, images, shard.unpack(BytesIO(packed.tar), 32), strict=True
    ):
        assert np.array_equal(png.decode(picture, 32), image)
        assert record.sha256 == pixels_sha256(image)
        assert (record.key, record.number, record.index) == (
            sample.key, sample.number, sample.index,
        )  # fmt: skip
        assert (record.context_id, record.class_name) == (
            sample.context.id, sample.context.class_name,
        )  # fmt: skip
        assert record.seed == sample.noise_key.hex()


def test_digest_is_of_identities_and_pixels_only(samples: list[Sample], images: np.ndarray) -> None:
    lines = "".join(
        f"{sample.context.id}/{sample.index} {hashlib.sha256(image.tobytes()).hexdigest()}\n"
        for sample, image in zip(samples, images, strict=True)
    )
    packed = shard.pack(samples, images, [{"sharpness": 0.25}] * len(samples))
    assert packed.digest == hashlib.sha256(lines.encode()).hexdigest()


def test_scores_reach_the_record_and_the_index(samples: list[Sample], images: np.ndarray) -> None:
    packed = shard.pack(samples[:1], images[:1], [{"sharpness": 0.25}])
    [(record, _)] = shard.unpack(BytesIO(packed.tar), 32)
    assert record.scores == {"sharpness": 0.25}
    assert pq.read_table(BytesIO(packed.part))["scores"].to_pylist() == ['{"sharpness": 0.25}']


def test_part_carries_the_sprites_of_the_preview_only(
    samples: list[Sample], images: np.ndarray
) -> None:
    thumbnails = pq.read_table(BytesIO(shard.pack(samples, images).part))["thumbnail"].to_pylist()
    assert [picture is not None for picture in thumbnails] == [True] * 8 + [False] + [True] * 2
    assert np.array_equal(png.decode(thumbnails[9], 32), images[9])


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # webdataset leaves it open
def test_webdataset_reads_a_shard(
    samples: list[Sample], images: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "shard.tar"
    path.write_bytes(shard.pack(samples, images).tar)
    read = list(webdataset.WebDataset(str(path), shardshuffle=False).decode("pilrgba"))
    assert [sample["__key__"] for sample in read] == [sample.key for sample in samples]
    assert [sample["json"]["index"] for sample in read] == [sample.index for sample in samples]
    assert all(np.array_equal(np.asarray(a["png"]), b) for a, b in zip(read, images, strict=True))


@pytest.mark.parametrize("shape", [(11, 32, 32, 3), (11, 32, 16, 4), (10, 32, 32, 4)])
def test_images_of_another_shape_are_refused(samples: list[Sample], shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"images|zip"):
        shard.pack(samples, np.zeros(shape, dtype=np.uint8))


def test_files_that_are_no_pair_are_refused(samples: list[Sample], images: np.ndarray) -> None:
    members = dict(tar.members(BytesIO(shard.pack(samples, images).tar), 2**20))
    names = list(members)
    names[1], names[3] = names[3], names[1]
    mixed = b"".join(tar.member(name, members[name]) for name in names) + tar.end()
    with pytest.raises(CorruptError, match="no pair"):
        list(shard.unpack(BytesIO(mixed), 32))


def test_record_under_another_name_is_refused(samples: list[Sample], images: np.ndarray) -> None:
    members = list(tar.members(BytesIO(shard.pack(samples, images).tar), 2**20))
    (name, picture), (beside, _), _, (_, other) = members[:4]
    mixed = tar.member(name, picture) + tar.member(beside, other) + tar.end()
    with pytest.raises(CorruptError, match="is the record of"):
        list(shard.unpack(BytesIO(mixed), 32))


def test_shard_whose_samples_all_failed_is_empty() -> None:
    packed = shard.pack([], np.zeros((0, 32, 32, 4), dtype=np.uint8))
    assert list(shard.unpack(BytesIO(packed.tar), 32)) == []
    assert (packed.samples, pq.read_table(BytesIO(packed.part)).num_rows) == (0, 0)
