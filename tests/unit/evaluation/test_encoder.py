from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import ModelError
from core.evaluation.encoder import FEATURES, Network, bundled_encoder, load_encoder, save_encoder
from core.training.recipe import DUNGEON
from tests.unit.evaluation.sprites import blocks


def test_bundled_encoder_knows_the_bundled_models_classes() -> None:
    encoder = bundled_encoder()
    assert set(encoder.classes) == {*DUNGEON.classes, DUNGEON.doll_class}
    seen = encoder(blocks(3))
    assert seen.features.shape == (3, FEATURES)
    assert seen.probabilities.shape == (3, len(encoder.classes))
    assert seen.probabilities.sum(axis=1) == pytest.approx(np.ones(3), abs=1e-5)


def test_what_is_seen_does_not_depend_on_the_company() -> None:
    encoder, images = bundled_encoder(), blocks(67)
    together = encoder(images)
    for row in (0, 66):
        alone = encoder(images[row : row + 1])
        assert alone.features[0] == pytest.approx(together.features[row], abs=1e-4)
    assert np.array_equal(encoder(images).features, together.features), "and is repeated exactly"


def test_colour_that_cannot_be_seen_does_not_count() -> None:
    clear = np.zeros((2, 32, 32, 4), dtype=np.uint8)
    clear[1, ..., :3] = 255
    seen = bundled_encoder()(clear).features
    assert seen[0] == pytest.approx(seen[1], abs=1e-5)


def test_no_sprites_give_nothing() -> None:
    assert bundled_encoder()(blocks(0)).features.shape == (0, FEATURES)


def test_other_sizes_are_enlarged_or_reduced() -> None:
    small = blocks(3)[:, ::2, ::2]
    seen = [bundled_encoder()(small.repeat(n, axis=1).repeat(n, axis=2)) for n in (1, 2, 4)]
    assert [found.features.shape for found in seen] == [(3, FEATURES)] * 3
    assert np.array_equal(seen[0].features, seen[1].features)
    assert np.array_equal(seen[0].features, seen[2].features)
    framed = np.pad(small, ((0, 0), (6, 6), (6, 6), (0, 0)))  # 28 x 28: as it is, in the middle
    assert np.array_equal(
        bundled_encoder()(framed).features,
        bundled_encoder()(np.pad(framed, ((0, 0), (2, 2), (2, 2), (0, 0)))).features,
    )


def test_saved_encoder_sees_the_same(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Network(2).half().float()
    save_encoder(tmp_path / "e.safetensors", network, ("book", "potion"))
    first, second = (load_encoder(tmp_path / "e.safetensors") for _ in range(2))
    with torch.inference_mode():
        expected = network.eval()(torch.zeros(1, 4, 32, 32) - 1)[0].numpy()
    clear = np.zeros((1, 32, 32, 4), dtype=np.uint8)
    assert first.classes == ("book", "potion")
    assert first(clear).features == pytest.approx(expected, abs=1e-4)
    assert np.array_equal(first(clear).features, second(clear).features)


@pytest.mark.parametrize("content", [b"", b"no tensors", b"\x02\0\0\0\0\0\0\0{}"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "e.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"e\.safetensors is no encoder"):
        load_encoder(path)


def test_bundled_encoder_is_small() -> None:
    path = Path(__file__).parents[3] / "core/weights/encoder-32.safetensors"
    assert path.stat().st_size < 2e6
