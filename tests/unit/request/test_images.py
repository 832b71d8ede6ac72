"""Pictures of a request: which files are taken, what is kept of them, and what they decide."""

import base64
import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from core.errors import RequestError
from core.request import images
from core.request.extension import extended, more
from core.request.load import canonical, check, load, parse
from core.request.plan import Plan, digest, plan
from core.request.spec import Parent
from core.weights.spec import ModelSpec
from tests.unit.request.pictures import data, lower_half, sprite


def written(folder: Path, entry: str, **pictures: np.ndarray) -> Path:
    """A request file with one context, and pictures beside it."""
    for name, pixels in pictures.items():
        Image.fromarray(pixels).save(folder / f"{name}.png")
    request = folder / "request.yaml"
    request.write_text(f"samples: 2\ncontexts: [{{class: potion, {entry}}}]")
    return request


def fault(request: Path) -> str:
    with pytest.raises(RequestError) as refused:
        load(request)
    return str(refused.value)


def planned(spec: ModelSpec, **entry: Any) -> Plan:
    values = {"samples": 2, "contexts": [{"class": "potion", **entry}]}
    return plan(check(values), spec)


def test_picture_travels_inside_the_request(tmp_path: Path, spec: ModelSpec) -> None:
    path = written(tmp_path, "image: hero.png, mask: mask.png", hero=sprite(), mask=lower_half())
    request = load(path)
    for file in tmp_path.glob("*.png"):
        file.unlink()
    start = plan(parse(canonical(request)), spec).context(0).start
    assert start is not None
    assert np.array_equal(start.pixels, sprite())
    assert np.array_equal(start.keep, lower_half() == 0)
    assert start.share == 1.0


def test_what_a_file_holds_beside_its_pixels_stays_outside(tmp_path: Path) -> None:
    note = PngInfo()
    note.add_text("comment", "private " * 1000)
    Image.fromarray(sprite()).save(tmp_path / "hero.png", pnginfo=note)
    noted = load(written(tmp_path, "image: hero.png"))
    plain = load(written(tmp_path, "image: hero.png", hero=sprite()))
    assert canonical(noted) == canonical(plain)


@pytest.mark.parametrize("mode", ["P", "RGB", "L", "1", "LA", "I;16"])
def test_any_mode_of_png_is_taken(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (32, 32)).save(tmp_path / "hero.png")
    start = load(written(tmp_path, "image: hero.png")).contexts[0].start
    assert start is not None
    assert start.pixels.shape == (32, 32, 4)


def test_picture_is_named_by_its_pixels_however_it_was_compressed(spec: ModelSpec) -> None:
    found = []
    for level in (1, 9):
        packed = BytesIO()
        Image.fromarray(sprite()).save(packed, "PNG", compress_level=level)
        encoded = base64.b64encode(packed.getvalue()).decode()
        found.append(planned(spec, image=f"data:image/png;base64,{encoded}"))
    one, other = found
    assert canonical(one.request) != canonical(other.request)
    assert one.context(0).id == other.context(0).id
    assert digest(one, "0" * 64) == digest(other, "0" * 64)


def test_size_that_a_leading_chunk_pretends_is_not_believed(tmp_path: Path) -> None:
    packed = BytesIO()
    Image.new("L", (1000, 1000)).save(packed, "PNG")
    text = b"tEXt" + struct.pack(">II", 32, 32) + b"\0text"
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    png = packed.getvalue()
    (tmp_path / "hero.png").write_bytes(png[:8] + chunk + png[8:])
    assert "1000 x 1000 pixels" in fault(written(tmp_path, "image: hero.png"))


@pytest.mark.parametrize(
    "name", ["../hero.png", "/etc/hostname", "inner/../../hero.png", "out.png"]
)
def test_files_elsewhere_are_not_read(tmp_path: Path, name: str) -> None:
    Image.fromarray(sprite()).save(tmp_path / "hero.png")
    folder = tmp_path / "requests"
    (folder / "inner").mkdir(parents=True)
    (folder / "out.png").symlink_to(tmp_path / "hero.png")
    assert "beside the request" in fault(written(folder, f"image: {name}"))


def huge() -> bytes:
    """A PNG whose header promises 4 GB."""
    head = b"IHDR" + struct.pack(">IIBBBBB", 32768, 32768, 8, 6, 0, 0, 0)
    data = b"\0\0\0\0IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    return b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + head + struct.pack(">I", zlib.crc32(head)) + data


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"GIF89a" + b"\0" * 100, "no PNG"),
        (b"", "no PNG"),
        (huge(), "too large"),
        (
            huge().replace(struct.pack(">II", 32768, 32768), struct.pack(">II", 32, 32)),
            "no picture",
        ),
        (b"\0" * (images.MOST_BYTES + 1), "too many"),
    ],
)
def test_what_is_no_small_png_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "hero.png").write_bytes(content)
    assert told in fault(written(tmp_path, "image: hero.png"))


def test_every_file_that_cannot_be_taken_is_told(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    told = fault(written(tmp_path, "image: none.png, mask: folder.png"))
    assert "contexts[0].image = none.png: there is no such file" in told
    assert "contexts[0].mask = folder.png: it is no file" in told


def test_whoever_takes_a_request_reads_no_file(tmp_path: Path) -> None:
    path = written(tmp_path, "image: hero.png", hero=sprite())
    with pytest.raises(RequestError, match="only the command line reads files"):
        parse(path.read_text())


@pytest.mark.parametrize(
    "text", ["data:image/png;base64,AAAA", "data:image/png;base64,A*", "data:"]
)
def test_data_that_is_no_picture_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match=r"contexts\[0\].image"):
        parse(f'samples: 1\ncontexts: [{{class: potion, image: "{text}"}}]')


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("strength: 0.5", "belong to an image"),
        ("image: hero.png, mask: small.png", "one size"),
        ("image: hero.png, mask: dark.png", "dark everywhere"),
        ("image: hero.png, strength: 0", "above 0"),
        ("image: hero.png, strength: 1.5", "at most 1"),
    ],
)
def test_pictures_that_do_not_go_together_are_refused(
    tmp_path: Path, entry: str, told: str
) -> None:
    dark = np.zeros((32, 32), dtype=np.uint8)
    path = written(tmp_path, entry, hero=sprite(), small=lower_half(16), dark=dark)
    assert told in fault(path)


def test_picture_of_another_size_than_the_model_makes_is_refused(
    tmp_path: Path, spec: ModelSpec
) -> None:
    request = load(written(tmp_path, "image: hero.png", hero=sprite(16)))
    with pytest.raises(RequestError, match=r"contexts\[0\].image = 16 x 16.*makes 32 x 32"):
        plan(request, spec)


def test_picture_mask_and_strength_decide_context_noise_and_digest(
    tmp_path: Path, spec: ModelSpec
) -> None:
    one, other = data(sprite(), tmp_path), data(sprite(seed=1), tmp_path)
    mask = data(np.repeat(lower_half()[..., None], 3, axis=2), tmp_path)
    plans = [
        planned(spec),
        planned(spec, image=one),
        planned(spec, image=other),
        planned(spec, image=one, strength=0.3),
        planned(spec, image=one, mask=mask),
    ]
    assert len({each.context(0).id for each in plans}) == 5
    assert len({each.context(0).label for each in plans}) == 5
    assert len({digest(each, "00") for each in plans}) == 5


def test_one_class_from_two_pictures_is_two_contexts_and_from_one_twice_refused(
    tmp_path: Path, spec: ModelSpec
) -> None:
    one, other = (data(sprite(seed=seed), tmp_path) for seed in (0, 1))

    def asked(*pictures: str) -> Plan:
        contexts = [{"class": "potion", "image": each} for each in pictures]
        return plan(check({"samples": 2, "contexts": contexts}), spec)

    assert asked(one, other).context_count == 2
    with pytest.raises(RequestError, match="the same as"):
        asked(one, other, one)


def test_extension_goes_on_with_the_sprites_of_each_picture(
    tmp_path: Path, spec: ModelSpec
) -> None:
    pictures = [data(sprite(seed=seed), tmp_path) for seed in (0, 1)]
    contexts = [{"class": "potion", "image": each} for each in pictures]
    parent = check({"samples": 2, "contexts": contexts})
    base = Parent(job="abcdefghijkl", digest="0" * 64, samples=4, shards=1)
    whole = Plan(extended(parent, base, more(parent, 5)), spec)
    assert [count for _, count in whole.contexts()] == [5, 5]
    added = [(sample.context.start, sample.index) for sample in whole.samples(whole.shard(0))]
    assert [index for _, index in added] == [2, 3, 4, 2, 3, 4]
    assert [start and start.image for start, _ in added[::3]] == pictures


def test_default_strength_is_as_if_it_were_given(tmp_path: Path, spec: ModelSpec) -> None:
    one = data(sprite(), tmp_path)
    unsaid, said = (planned(spec, image=one, **more) for more in ({}, {"strength": 0.65}))
    assert unsaid.context(0).id == said.context(0).id


def test_half_transparent_masks_are_dark(tmp_path: Path) -> None:
    mask = np.zeros((4, 4, 4), dtype=np.uint8)
    mask[0] = (255, 255, 255, 100)
    mask[1] = (255, 255, 255, 255)
    mask[2] = (200, 200, 200, 255)
    free = images.drawn_anew(data(mask, tmp_path))
    assert free.all(axis=1).tolist() == [False, True, True, False]
