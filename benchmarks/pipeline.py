"""Pipeline efficiency: samples/s of a job with one worker over samples/s of the bare sampling loop.

The bare loop renders tiles and drops them: no packing, upload or ledger. It has the machine to
itself with all cores, as the worker has. The job is timed twice: from its first claim to its last
commit, which is what a long job sees, and from submit to a finished dataset.

`--fake` puts a renderer in its place that only waits, at 5,000 sprites/s for the worker as a
whole: each of its slots gets its share, as processes that share a GPU do.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from core import settings as configuration
from core.logs import configure
from core.settings import Settings
from orchestrator.mill import Mill

FAKE_RATE = 5000.0

BARE = """
import sys, time
import numpy as np
from core import settings, weights
from core.request.contexts import dense
from core.request.load import parse
from core.request.plan import Plan
from workers.renderer import load

plan = Plan(parse(sys.stdin.read()), weights.read_spec(weights.bundled()))
renderer, tiles = load(weights.bundled(), settings.load()), int(sys.argv[1])
samples = list(plan.samples(plan.shard(0)))[: renderer.tile]
contexts = np.stack([dense(s.context.terms, plan.spec.context_length) for s in samples])
keys = [sample.noise_key for sample in samples]

def tile():
    renderer.render(contexts, None, keys, plan.request, lambda: None)

tile()
started = time.monotonic()
for _ in range(tiles):
    tile()
print(tiles * len(samples) / (time.monotonic() - started))
"""


def main() -> None:
    options = _options()
    request = _request(options.samples or (100_000 if options.fake else 2048))
    bare = FAKE_RATE if options.fake else _bare(request)
    with tempfile.TemporaryDirectory() as home:
        settings = configuration.load({"home": home, "workers": 1})
        if options.fake:
            settings = replace(settings, renderer="fake", fake_rate=FAKE_RATE / settings.slots)
        steady, whole, samples = _job(settings, request)
    if not options.fake:  # before and after: a shared machine's speed wanders
        bare = statistics.harmonic_mean([bare, _bare(request)])
    print(f"machine           {platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    print(f"renderer          {'fake, waits only' if options.fake else 'bundled model'}")
    print(f"samples           {samples:,}")
    print(f"bare loop         {bare:10.1f} samples/s")
    print(f"job, steady       {steady:10.1f} samples/s   efficiency {steady / bare:.3f}")
    print(f"job, from submit  {whole:10.1f} samples/s   efficiency {whole / bare:.3f}")


def _bare(request: str) -> float:
    asked = subprocess.run(
        [sys.executable, "-c", BARE, "12"],
        input=request,
        text=True,
        check=True,
        capture_output=True,
    )
    return float(asked.stdout)


def _job(settings: Settings, request: str) -> tuple[float, float, int]:
    """Samples a second between the first claim and the last commit, and from submit to finish."""
    configure("warning", Path(settings.home) / "logs" / "mill.log")
    with Mill(settings, workers=1) as mill:
        _until_ready(mill)
        started = time.monotonic()
        submitted = mill.service.submit(request).job
        job = mill.service.wait(submitted.id).job
        whole = time.monotonic() - started
        if job.state != "succeeded":
            raise SystemExit(f"the job ended as {job.state}: {job.error}")
        story = mill.service.events(job.id)
        begun = next(event.at for event in story if event.kind == "job.running")
        done = next(event.at for event in story if event.kind == "job.finalizing")
    return job.samples_done / (done - begun), job.samples_done / whole, job.samples_done


def _until_ready(mill: Mill) -> None:
    while not any(worker.state == "ready" for worker in mill.service.workers()):
        time.sleep(0.05)


def _request(samples: int) -> str:
    return f"seed: 1\nsamples: {samples}\ncontexts:\n  - class: potion\n"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fake", action="store_true", help="a renderer that only waits")
    parser.add_argument("--samples", type=int, help="size of the job")
    return parser.parse_args()


if __name__ == "__main__":
    main()
