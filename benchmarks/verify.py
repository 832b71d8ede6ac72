"""What proving a dataset costs: `verify` over `sha256sum` of the same files, in one run.

The dataset is of blocky sprites as the fake renderer draws them, or with `--noise` of random
pixels, whose PNG files do not pack. Each runs once before it is timed: the disk plays no part.
"""

import argparse
import hashlib
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from core import weights
from core.dataset import assembly, layout
from core.dataset.hashes import sha256_of
from core.dataset.shard import pack
from core.dataset.source import FolderSource, StoreSource
from core.dataset.verify import verify
from core.ledger.shards import DoneShard
from core.request.load import parse
from core.request.plan import Plan, digest, plan
from core.settings import Settings
from core.storage import Store, connect
from workers.fake_renderer import FakeRenderer

JOB = "abcdefghij23"


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as root:
        store = connect(Settings(store_url=root))
        _dataset(store, options.samples, options.noise)
        folder = Path(root) / layout.dataset_prefix(JOB)
        files = sorted(str(path) for path in folder.rglob("*") if path.is_file())
        size = sum(Path(path).stat().st_size for path in files)

        def summed() -> None:
            subprocess.run(["sha256sum", *files], check=True, stdout=subprocess.DEVNULL)

        source = FolderSource(folder)
        report = verify(source)
        plain = _seconds(summed)
        hashed = _seconds(lambda: sha256_of(source))
        proved = _seconds(lambda: verify(source))
        shared = _seconds(lambda: verify(source, processes=os.cpu_count() or 1))
        assert report.ok
        assert report.digest == verify(StoreSource(store, JOB)).digest
    print(f"machine           {platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    print(f"dataset           {report.samples:,} sprites, {size / 1e6:,.1f} MB")
    times = {
        "sha256sum": plain,
        "hashes alone": hashed,
        "verify": proved,
        "verify, all cores": shared,
    }
    for name, seconds in times.items():
        rate = size / seconds / 1e9
        print(f"{name:<17} {rate:6.3f} GB/s   {plain / seconds:6.3f} of sha256sum")
    print(f"verify            {report.samples / proved:10,.0f} sprites/s of one core")


def _seconds(work: Callable[[], object]) -> float:
    work()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _dataset(store: Store, samples: int, noise: bool) -> None:
    spec = weights.read_spec(weights.bundled())
    text = f"seed: 1\nsamples: {samples}\ncontexts:\n  - class: potion\n"
    made = plan(parse(text), spec)
    finished = assembly.Finished(
        job=JOB,
        name="benchmark",
        request_text=text,
        request_digest=digest(made, "0" * 64),
        weights="0" * 64,
        spec=spec,
        numerics={"renderer": "fake"},
        created=0.0,
    )
    done = [_shard(store, made, number, noise) for number in range(made.shard_count)]
    assembly.assemble(store, finished, done)


def _shard(store: Store, made: Plan, number: int, noise: bool) -> DoneShard:
    samples = list(made.samples(made.shard(number)))
    shape = (len(samples), made.spec.size, made.spec.size, 4)
    if noise:
        images = np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)
    else:
        keys = [sample.noise_key for sample in samples]
        fast = FakeRenderer(made.spec.size, rate=1e9)
        images = fast.render(np.zeros((len(keys), 1)), None, keys, made.request, lambda: None)
    packed = pack(samples, images)
    sha256 = hashlib.sha256(packed.tar).hexdigest()
    part_sha256 = hashlib.sha256(packed.part).hexdigest()
    key, part = layout.shard_key(JOB, number, sha256), layout.part_key(JOB, number, part_sha256)
    store.put(key, packed.tar)
    store.put(part, packed.part)
    return DoneShard(
        number=number,
        samples=packed.samples,
        key=key,
        sha256=sha256,
        size=len(packed.tar),
        part_key=part,
        part_sha256=part_sha256,
        samples_digest=packed.digest,
        seconds=0.0,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--noise", action="store_true", help="random pixels, which do not pack")
    return parser.parse_args()


if __name__ == "__main__":
    main()
