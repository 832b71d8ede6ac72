"""The page stands alone, and tells what the dataset holds."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.dataset.layout import INDEX
from core.dataset.manifest import Ancestor
from core.dataset.page import reading
from core.dataset.page.facts import gather, lowest
from core.dataset.page.real import read_folder
from core.dataset.reader import sprites
from core.dataset.shard import pack
from core.errors import CorruptError, UsageError
from core.request.load import canonical, parse
from core.request.plan import digest, plan
from tests.unit.dataset.bench import SPEC, Bench
from tests.unit.dataset.test_quality import store

VOID = {"meta", "img", "br", "rect", "line"}


class Page(HTMLParser):
    """Every tag is closed in its turn, every address is inside the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.ids: set[str] = set()
        self.images = 0
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.images += tag == "img"
        for name, value in attrs:
            if name in ("src", "href"):
                self.addresses.append(value or "")
            if name == "id":
                self.ids.add(value or "")

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def report(bench: Bench) -> str:
    return (bench.folder / "report.html").read_text("utf-8")


def test_page_needs_nothing_from_outside(dataset: Bench) -> None:
    text = report(dataset)
    page = Page(text)
    inside = {f"#{name}" for name in page.ids}
    assert all(a.startswith("data:image/png;base64,") or a in inside for a in page.addresses)
    assert "<script" not in text
    assert not re.search(r"url\(|@import", text)
    assert "prefers-color-scheme: dark" in text


def test_page_shows_eight_sprites_of_each_context(dataset: Bench) -> None:
    text = report(dataset)
    sheets = text[text.index('id="sprites"') : text.index('id="class-balance"')]
    assert sheets.count("<img") == 3 * 8
    assert all(label in sheets for label in ("potion", "hero + 0.6 potion", "a flaming sword"))


def test_text_of_the_request_cannot_break_the_page(bench_of: Callable[[str], Bench]) -> None:
    text = "a red sword <script>\"& '</b>"
    spec = SPEC.model_copy(update={"words": (*SPEC.words, "script", "b"), "data": text})
    bench = bench_of(json.dumps({"samples": 4, "contexts": [{"class": "hero"}]}))
    asked = parse(json.dumps({"samples": 4, "contexts": [{"text": text}]}))
    bench.plan = plan(asked, spec)
    bench.finished = replace(
        bench.finished,
        spec=spec,
        request_text=canonical(asked),
        request_digest=digest(bench.plan, bench.finished.weights),
    )
    bench.render_all()
    bench.assemble()
    found = report(bench)
    Page(found)
    assert "<script" not in found
    assert found.count("&lt;script&gt;") >= 3


def test_page_of_a_finished_dataset_says_the_same(dataset: Bench) -> None:
    page = reading.render(dataset.source, dataset.manifest())
    assert Page(page).images == Page(report(dataset)).images
    for told in ("No two sprites of the dataset are equal", "the pairs of all that look most"):
        assert told in page


def test_cost_of_an_extension_is_of_what_was_added(dataset: Bench) -> None:
    whole = dataset.manifest()
    before = Ancestor(
        job="abcdefghij23", digest="0" * 64, samples=whole.samples - 10, shards=0, numerics={}
    )
    added = whole.model_copy(update={"ancestors": (before,), "render_seconds": 20.0})
    page = reading.render(dataset.source, added)
    assert "<code>0.5</code>" in re.sub(r"\s+", "", page[page.index("sprites a second") :])[:200]


def test_equal_sprites_are_named(bench: Bench) -> None:
    """Shard 1 has in places 9 and 10 what shard 0 has in place 0."""
    samples = list(bench.plan.samples(bench.plan.shard(1)))
    images = bench.images(samples)
    first = next(bench.plan.samples(bench.plan.shard(0)))
    images[9:11] = bench.images([first])
    bench.done[1] = store(bench, 1, pack(samples, images))
    bench.assemble()
    found = report(bench)
    assert "2 sprites are equal, pixel for pixel, to one before them" in found
    assert f"{first.key}, {samples[9].key}, {samples[10].key}" in found
    assert "0 of 255 apart" in found


def test_real_sprites_stand_beside_the_nearest(dataset: Bench, tmp_path: Path) -> None:
    (record, image), *_ = sprites(dataset.source, dataset.manifest())
    (tmp_path / "inner").mkdir()
    Image.fromarray(image[:, ::-1]).save(tmp_path / "inner" / "mirrored.png")
    Image.fromarray(np.zeros((8, 8, 4), dtype=np.uint8)).save(tmp_path / "small.png")
    page = reading.render(dataset.source, dataset.manifest(), read_folder(tmp_path, 32))
    section = page[page.index('id="closest-to-training-data"') :]
    assert "0 of 255 from mirrored.png" in section
    assert section.index(record.key) < section.index("inner/mirrored.png")
    assert "and 1 real ones" in section


def test_folder_without_such_sprites_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no PNG files of 32 x 32"):
        read_folder(tmp_path, 32)
    with pytest.raises(UsageError, match="no such folder"):
        read_folder(tmp_path / "none", 32)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(CorruptError, match=r"bad\.png"):
        read_folder(tmp_path, 32)


def test_damaged_shard_is_told(dataset: Bench) -> None:
    path = dataset.folder / dataset.manifest().shards[0].name
    data = bytearray(path.read_bytes())
    data[600] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptError):
        reading.render(dataset.source, dataset.manifest())


def test_scores_are_read_from_few_rows_of_a_large_dataset(
    bench_of: Callable[[str], Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = bench_of('{"samples": 50, "contexts": [{"class": "hero"}]}')
    samples = list(bench.plan.samples(bench.plan.shard(0)))
    rest = list(bench.plan.samples(bench.plan.shard(1)))
    for number, some in enumerate((samples, rest)):
        scores = [{"novelty": float(sample.number)} for sample in some]
        bench.done.append(store(bench, number, pack(some, bench.images(some), scores)))
    manifest = bench.assemble()
    monkeypatch.setattr("core.dataset.page.facts.SCORED", 10)
    found = gather(bench.plan, manifest, bench.folder / INDEX)
    assert found.scores()["novelty"].tolist() == list(range(0, 50, 5))
    assert lowest(found.scored, "novelty", 2) == [(samples[0].key, 0.0), (samples[5].key, 5.0)]
