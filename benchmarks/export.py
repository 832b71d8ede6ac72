"""Exporting a dataset of many small sprites: samples/s of one core, and the most memory it takes.

The dataset is made first, of sprites of 16 x 16 pixels that are all different, by the code that
packs shards and merges the index. Each export runs in a process of its own, single-threaded, so
that its peak of memory is its own; `VmHWM` also has what the interpreter and libraries take.
"""

import argparse
import hashlib
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core import storage, weights
from core.dataset import assembly, shard
from core.dataset.export.options import ALL, Options, shares
from core.dataset.export.work import export
from core.dataset.layout import dataset_prefix, part_key, shard_key
from core.dataset.source import FolderSource
from core.ledger.shards import DoneShard
from core.request.load import parse
from core.request.plan import digest, plan
from core.settings import Settings

if TYPE_CHECKING:
    from core.request.plan import Plan

JOB, WEIGHTS = "abcdefghij23", "0" * 64
SIZE = 16
SHARD = 10_000
COLOURS = 24
CASES = (("webdataset", ""), ("parquet", ""), ("webdataset", "split"), ("numpy", ""))


def main() -> None:
    options = _options()
    if options.case:
        _export(Path(options.folder), *options.case.split(":"))
        return
    with tempfile.TemporaryDirectory(prefix="spritemill-") as folder:
        root = Path(options.folder or folder)
        if not (root / "store").exists():
            _dataset(root / "store", options.samples)
        print(f"machine   {platform.processor() or platform.machine()}, {os.cpu_count()} cores")
        print(f"samples   {options.samples:,} of {SIZE} x {SIZE}")
        for name, extra in CASES:
            _case(root, name, extra, options.samples)


def _case(root: Path, name: str, extra: str, samples: int) -> None:
    single = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "ARROW_CPU")}
    asked = subprocess.run(
        [sys.executable, __file__, "--folder", root, "--case", f"{name}:{extra}"],
        env={**os.environ, **single, "OMP_THREAD_LIMIT": "1"},
        text=True, check=True, capture_output=True,
    )  # fmt: skip
    seconds, cpu, peak = (float(word) for word in asked.stdout.split())
    print(
        f"{name:12} {extra:6} {samples / seconds:10,.0f} samples/s, {samples / cpu:10,.0f} per "
        f"second of processor time, {peak / 1e6:6.0f} MB at most"
    )


def _export(root: Path, name: str, extra: str) -> None:
    """One export, in a process of its own: seconds, processor time and peak of memory."""
    with tempfile.TemporaryDirectory(prefix="spritemill-", dir=root) as out:
        store = storage.connect(Settings(store_url=out))
        asked = Options(splits=shares("train=0.8,validation=0.1,test=0.1") if extra else ALL)
        source = FolderSource(root / "store" / dataset_prefix(JOB))
        started, spent = time.monotonic(), time.process_time()
        export(source, store, out, name, asked)
        print(time.monotonic() - started, time.process_time() - spent, _peak())


def _peak() -> int:
    """The most memory that this process has held, in bytes; `ru_maxrss` would be its parent's."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return (
        int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
        * 1024
    )


def _dataset(root: Path, samples: int) -> None:
    """A finished dataset below `root`."""
    spec = weights.read_spec(weights.bundled()).model_copy(update={"size": SIZE})
    text = (
        f"name: many\nseed: 1\nsamples: {samples}\ncontexts: [{{class: potion}}]"
        f"\noutputs: {{shard_samples: {SHARD}, preview: false}}\n"
    )
    made = plan(parse(text), spec, max_samples=sys.maxsize)
    store = storage.connect(Settings(store_url=str(root)))
    finished = assembly.Finished(
        job=JOB, name="many", request_text=text, request_digest=digest(made, WEIGHTS),
        weights=WEIGHTS, spec=spec, numerics={"device": "none"}, created=0.0,
    )  # fmt: skip
    assembly.assemble(store, finished, list(_shards(store, made)))


def _shards(store: storage.Store, made: "Plan") -> Iterator[DoneShard]:
    chance = np.random.default_rng(1)
    for number in range(made.shard_count):
        planned = list(made.samples(made.shard(number)))
        packed = shard.pack(planned, _sprites(len(planned), chance))
        sha256 = hashlib.sha256(packed.tar).hexdigest()
        key = shard_key(JOB, number, sha256)
        part_sha256 = hashlib.sha256(packed.part).hexdigest()
        part = part_key(JOB, number, part_sha256)
        store.put(key, packed.tar)
        store.put(part, packed.part)
        yield DoneShard(
            number=number, samples=packed.samples, key=key, sha256=sha256, size=len(packed.tar),
            part_key=part, part_sha256=part_sha256, samples_digest=packed.digest, seconds=0.0,
        )  # fmt: skip


def _sprites(count: int, chance: np.random.Generator) -> NDArray[np.uint8]:
    """Mirrored blots in a few colours on a clear ground: about as hard to pack as real ones."""
    palette = chance.integers(0, 256, (COLOURS, 4), dtype=np.uint8)
    palette[:, 3] = 255
    palette[: COLOURS // 2] = 0
    half = chance.integers(0, COLOURS, (count, SIZE // 2, SIZE // 4))
    left = half.repeat(2, axis=1).repeat(2, axis=2)
    sprites: NDArray[np.uint8] = palette[np.concatenate([left, left[:, :, ::-1]], axis=2)]
    return sprites


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=1_000_000, help="size of the dataset")
    parser.add_argument("--folder", default="", help="keep the dataset there, for the next time")
    parser.add_argument("--case", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
