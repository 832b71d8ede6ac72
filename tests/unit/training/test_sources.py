"""Training data in each of the forms it may come in."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from core.errors import UsageError
from core.training.examples import NO_CLASS
from core.training.pixels import channels
from core.training.sources import read

from .conftest import SIZE, SPRITES, write

DRAW = np.random.default_rng(0)


def save(path: Path, mode: str = "RGBA", size: int = 8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = DRAW.integers(0, 256, (size, size, 4), dtype=np.uint8)
    image = Image.fromarray(pixels)
    (image if mode == "RGBA" else image.convert("RGB").convert(mode)).save(path)


def test_folders_are_classes(tmp_path: Path) -> None:
    for name in ("sword/1.png", "sword/more/2.png", "axe/1.gif"):
        save(tmp_path / name)
    (tmp_path / "sword" / "notes.txt").write_text("no picture")
    found = read(tmp_path, 16)
    assert found.classes == ("axe", "sword")
    assert found.labels.tolist() == [0, 1, 1]
    assert found.images.shape == (3, 16, 16, 4)
    assert found.vocabulary == ()


def test_pictures_alone_have_no_class(tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / f"{number}.png")
    (tmp_path / "empty").mkdir()
    found = read(tmp_path, 8)
    assert found.classes == ()
    assert found.labels.tolist() == [NO_CLASS] * 3
    assert found.context_length == 0


def test_pictures_beside_folders_of_pictures_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "1.png")
    save(tmp_path / "sword" / "1.png")
    with pytest.raises(UsageError, match="both pictures and folders"):
        read(tmp_path, 8)


def test_a_table_names_classes_and_words(tmp_path: Path) -> None:
    write(tmp_path, SPRITES)
    found = read(tmp_path, SIZE)
    assert found.classes == ("base", "blade", "body", "junk", "potion", "sword")
    assert {"red", "king"} <= set(found.vocabulary)
    assert "the" not in found.vocabulary
    assert not found.composed.any()


def test_categories_that_end_alike_stay_apart(tmp_path: Path) -> None:
    write(tmp_path, [("item/sword", "x"), ("unique/sword", "x"), ("item/axe", "x")])
    assert read(tmp_path, SIZE).classes == ("axe", "item-sword", "unique-sword")


def test_a_table_that_spritemill_writes_has_classes_and_one_of_excel_a_mark(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        save(tmp_path / name, size=SIZE)
    table = "file_name,caption,class\r\na.png,red sword,sword\r\nb.png,axe,axe\r\n"
    (tmp_path / "metadata.csv").write_bytes(b"\xef\xbb\xbf" + table.encode())
    for name in ("one", "other"):  # the table goes before arrays
        np.save(tmp_path / f"{name}.npy", np.zeros((1, SIZE, SIZE, 3), dtype=np.uint8))
    assert read(tmp_path, SIZE).classes == ("axe", "sword")


def arrays(folder: Path, count: int = 6, size: int = 16) -> NDArray[np.uint8]:
    """The course's two files."""
    sprites = DRAW.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    np.save(folder / f"sprites_{count}_{size}x{size}.npy", sprites)
    labels = np.eye(5)[[4, 3, 2, 1, 0, 0]]
    np.save(folder / f"sprite_labels_nc_{count}_{size}x{size}.npy", labels)
    return sprites


def test_arrays_of_the_course_are_read(tmp_path: Path) -> None:
    sprites = arrays(tmp_path)
    found = read(tmp_path, 16)
    assert np.array_equal(found.images[..., :3], sprites)
    assert found.classes == tuple(f"class-{number}" for number in range(5))
    assert found.labels.tolist() == [4, 3, 2, 1, 0, 0]
    assert channels(found.images) == 3


def test_classes_of_arrays_can_be_named(tmp_path: Path) -> None:
    arrays(tmp_path)
    names = ("hero", "foe", "food", "spell", "side")
    found = read(tmp_path, 16, names)
    assert [found.classes[label] for label in found.labels] == [
        "side", "spell", "food", "foe", "hero", "hero",
    ]  # fmt: skip
    with pytest.raises(UsageError, match="5 classes"):
        read(tmp_path, 16, names[:4])


def test_classes_of_exported_arrays_have_their_names(tmp_path: Path) -> None:
    arrays(tmp_path)
    named = tmp_path / "labels.json"
    named.write_text('{"contexts": ["hero", "foe", "food", "spell", "side"]}')
    found = read(tmp_path, 16)
    assert [found.classes[label] for label in found.labels[:2]] == ["side", "spell"]
    for text, told in (('{"contexts": ["hero"]}', "names 1 classes"), ("{}", "names no classes")):
        named.write_text(text)
        with pytest.raises(UsageError, match=told):
            read(tmp_path, 16)


def test_grey_arrays_without_labels_have_no_class(tmp_path: Path) -> None:
    digits = DRAW.integers(0, 256, (4, 28, 28), dtype=np.uint8)
    np.save(tmp_path / "digits.npy", digits)
    for path in (tmp_path, tmp_path / "digits.npy"):
        found = read(path, 28)
        assert found.classes == ()
        assert np.array_equal(found.images[..., 0], digits)
        assert channels(found.images) == 1


def test_arrays_that_are_no_sprites_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((4, 16, 16, 3)))
    with pytest.raises(UsageError, match="float64"):
        read(tmp_path, 16)
    np.save(tmp_path / "y.npy", np.zeros((4, 16, 16, 3), dtype=np.uint8))
    with pytest.raises(UsageError, match="several arrays"):
        read(tmp_path, 16)
    np.save(tmp_path / "labels.npy", np.zeros((5, 2)))
    with pytest.raises(UsageError, match="0 of the files"):
        read(tmp_path / "y.npy", 16)


def test_labels_tell_classes_or_none(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((3, 16, 16, 3), dtype=np.uint8))
    np.save(tmp_path / "label.npy", np.array([0, 1, -1]))
    found = read(tmp_path, 16)
    assert found.classes == ("class-0", "class-1")
    assert found.labels.tolist() == [0, 1, NO_CLASS]
    np.save(tmp_path / "label.npy", np.eye(3)[[0, 1, 0]] * [[1], [1], [0]])
    assert read(tmp_path, 16).labels.tolist() == [0, 1, NO_CLASS]
    np.save(tmp_path / "label.npy", np.array([[1, 0.6], [1, 0], [0, 1]]))
    with pytest.raises(UsageError, match="no one-hots"):
        read(tmp_path, 16)
    for wrong in (np.array(["potion", "book", "book"]), np.array([0, 1, -2])):
        np.save(tmp_path / "label.npy", wrong)
        with pytest.raises(UsageError, match="its labels are"):
            read(tmp_path, 16)


def test_a_table_with_a_short_row_is_refused(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("category,file_name\na,1.png\nb\n")
    with pytest.raises(UsageError, match="row 2 is shorter"):
        read(tmp_path, 16)


def test_arrays_that_hold_objects_are_not_unpacked(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{}, {}], dtype=object), allow_pickle=True)
    with pytest.raises(UsageError, match="no array that can be read"):
        read(tmp_path, 16)


def test_nothing_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no sprites"):
        read(tmp_path, 16)
    with pytest.raises(UsageError, match="no such folder"):
        read(tmp_path / "none", 16)
    (tmp_path / "one.png").write_bytes(b"x")
    with pytest.raises(UsageError, match="it is a file"):
        read(tmp_path / "one.png", 16)


@pytest.mark.parametrize(("mode", "count"), [("L", 1), ("RGB", 3), ("P", 3), ("RGBA", 4)])
def test_channels_are_as_many_as_are_needed(tmp_path: Path, mode: str, count: int) -> None:
    save(tmp_path / "1.png", mode)
    assert channels(read(tmp_path, 8).images) == count


def test_one_hots_of_one_class_are_that_class(tmp_path: Path) -> None:
    np.save(tmp_path / "sprites.npy", np.zeros((3, 8, 8, 3), dtype=np.uint8))
    np.save(tmp_path / "labels.npy", np.ones((3, 1), dtype=np.uint8))
    (tmp_path / "labels.json").write_text('{"contexts": ["potion"]}')
    found = read(tmp_path, 8)
    assert found.classes == ("potion",)
    assert found.labels.tolist() == [0, 0, 0]
