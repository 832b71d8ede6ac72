from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ModelError, UsageError
from core.evaluation.neighbours import (
    COARSE,
    Neighbours,
    bundled_neighbours,
    fine_prints,
    load_neighbours,
    prints,
    save_neighbours,
)
from tests.unit.evaluation.sprites import Images, blocks


def known(count: int = 6, side: int = COARSE) -> Neighbours:
    names = [f"{number}.png" for number in range(count)]
    return Neighbours(prints(blocks(count), side), names, ["potion"] * count)


def test_copy_and_mirrored_copy_are_at_distance_zero() -> None:
    images = np.stack([blocks(6)[4], blocks(6)[2, :, ::-1]])
    distances, where = known().nearest(images)
    assert distances.tolist() == [0, 0]
    assert where.tolist() == [4, 2]


def test_distance_is_the_root_mean_square_of_the_prints() -> None:
    images = np.zeros((1, 32, 32, 4), dtype=np.uint8)
    training = images.copy()
    training[..., 3] = 10
    distances, _ = Neighbours(prints(training), ["a.png"], ["potion"]).nearest(images)
    assert distances[0] == pytest.approx(np.sqrt(10**2 / 4))


def test_relative_distance_tells_a_copy_from_one_that_is_like_many() -> None:
    dark, another = darkened(blocks(60, seed=1)), darkened(blocks(1, seed=2))
    among = Neighbours(prints(np.concatenate([dark, blocks(60)]), 32), (), ())
    grain = np.random.default_rng(0).integers(-8, 9, blocks(1).shape)
    copies = np.clip(blocks(60)[3:4] + grain, 0, 255).astype(np.uint8)
    plain, _ = among.nearest(np.concatenate([another, copies]))
    asked = np.concatenate([another, copies, dark[:1]])
    found, where = among.relatively(asked, np.arange(120))
    assert plain[0] < plain[1]  # by plain distances the copy is the further one
    assert found[0] > 0.7
    assert found[1] < 0.1
    assert found[2] == 0
    assert where[1:].tolist() == [63, 0]


def test_a_copy_of_one_of_many_near_duplicates_is_told() -> None:
    frames = blocks(1).repeat(55, axis=0)
    frames[:, 0, 0, 0] = np.arange(55)
    among = Neighbours(prints(np.concatenate([frames, blocks(60, seed=1)]), 32), (), ())
    copy = np.clip(frames[:1].astype(int) + 3, 0, 255).astype(np.uint8)
    assert among.relatively(copy, np.arange(115))[0] > 0.9
    assert among.relatively(copy, np.arange(54, 115))[0] < 0.1


def test_relative_distance_is_to_as_many_as_there_are() -> None:
    images = np.zeros((1, 32, 32, 4), dtype=np.uint8)
    training = np.repeat(images, 2, axis=0)
    training[0, ..., 3], training[1, ..., 3] = 10, 30
    found, where = Neighbours(prints(training), (), ()).relatively(images, np.arange(2))
    assert found[0] == pytest.approx(10 / 20)
    assert where[0] == 0


def darkened(images: Images) -> Images:
    """Opaque and near black."""
    return (images // 30) | np.array([0, 0, 0, 255], dtype=np.uint8)


@given(seed=st.integers(0, 1000), count=st.integers(1, 70))
def test_nearest_is_that_of_whole_numbers(seed: int, count: int) -> None:
    images, training = blocks(count, seed), blocks(9, seed + 1)
    distances, _ = Neighbours(prints(training), (), ()).nearest(images)
    mine, theirs = (prints(x).astype(np.int64) for x in (images, training))
    gaps = [
        ((view[:, None] - theirs) ** 2).reshape(count, 9, -1).sum(axis=2)
        for view in (mine, mine[:, :, ::-1])
    ]
    least = np.minimum(*gaps).min(axis=1)
    assert distances.tolist() == np.sqrt(least / 256).astype(np.float32).tolist()


def test_print_is_the_mean_of_premultiplied_blocks() -> None:
    image = np.zeros((1, 32, 32, 4), dtype=np.uint8)
    image[0, :4, :2] = 200, 100, 0, 255
    assert prints(image)[0, 0, 0].tolist() == [100, 50, 0, 128]
    assert not prints(image)[0, 1:].any()


def test_colour_that_cannot_be_seen_does_not_count() -> None:
    image = np.zeros((1, 32, 32, 4), dtype=np.uint8)
    image[..., :3] = 255
    assert not prints(image).any()


def test_sprites_that_prints_cannot_divide_are_refused() -> None:
    with pytest.raises(UsageError, match="12 x 12"):
        known().nearest(np.zeros((1, 12, 12, 4), dtype=np.uint8))


def test_saved_prints_are_read_back(tmp_path: Path) -> None:
    save_neighbours(tmp_path / "n.safetensors", known())
    found = load_neighbours(tmp_path / "n.safetensors")
    assert (found.names, found.classes) == (known().names, known().classes)
    assert np.array_equal(found.prints, known().prints)


@pytest.mark.parametrize("content", [b"", b"no tensors", b"\x02\0\0\0\0\0\0\0{}"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "n.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"n\.safetensors holds no prints"):
        load_neighbours(path)


def test_bundled_prints_are_coarse_and_named() -> None:
    found = bundled_neighbours()
    assert found.prints.shape[1:] == (COARSE, COARSE, 4)
    assert len(found.names) == len(found.classes) == len(found.prints) > 9000
    assert sum(name.endswith(".png") for name in found.names) > 3000


def test_copy_on_black_of_a_sprite_with_clear_ground_is_found() -> None:
    training = blocks(6)
    on_black = training.copy()
    on_black[..., 3] = 255
    both = np.concatenate([on_black[3:5], training[3:5]])
    distances, where = Neighbours(prints(training), (), ()).nearest(both)
    assert distances.tolist() == [0, 0, 0, 0]
    assert where.tolist() == [3, 4, 3, 4]


@pytest.mark.parametrize(("size", "side"), [(8, 8), (28, 28), (64, 64), (96, 48), (256, 64)])
def test_fine_prints_are_the_pixels_or_64_of_them_at_most(size: int, side: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, size, size, 4), dtype=np.uint8)
    images[..., 3] = 255
    fine = fine_prints(images)
    assert fine.shape == (2, side, side, 4)
    if side == size:
        assert np.array_equal(fine, images)
