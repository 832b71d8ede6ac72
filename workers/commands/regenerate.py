"""Render samples of a dataset again: `python -m workers.commands.regenerate SHA256`.

Speaks in JSON lines, each answer followed by as many bytes as it says. Read first: the request's
text, as a JSON string; answered with `numerics`. Then, as often as asked: `sprites`, a list of
[number, seed], answered with their pixels; or `shard`, [first, count], answered with its tar file.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, BinaryIO

from core import settings, storage
from core.errors import SpritemillError
from core.request import load
from core.request.plan import Plan, Sample, Shard
from core.settings import Settings
from workers.model_cache import ModelCache
from workers.render import Renderer, Unwatched, render_samples, render_shard


def answer(asked: dict[str, Any], plan: Plan, renderer: Renderer) -> bytes:
    """The bytes that are asked for."""
    if "shard" in asked:
        first, count = asked["shard"]
        return render_shard(plan, Shard(0, first, count), renderer, Unwatched()).tar
    samples = _samples(plan, asked["sprites"])
    return render_samples(plan, samples, renderer, Unwatched()).tobytes()


def _samples(plan: Plan, wanted: Iterable[Sequence[Any]]) -> list[Sample]:
    """The samples of these numbers, each with the noise of its record's seed."""
    return [
        replace(next(plan.samples(Shard(0, number, 1))), noise_key=bytes.fromhex(seed))
        for number, seed in wanted
    ]


def _numerics(read: Settings) -> dict[str, Any]:
    if read.renderer == "fake":
        return {"renderer": "fake"}
    from core.diffusion import device
    from workers import kernels

    chosen = kernels.chosen(read, device.pick_device())
    return device.facts(compiled=chosen is not None)


def _say(out: BinaryIO, document: dict[str, Any], data: bytes = b"") -> None:
    out.write(json.dumps({**document, "bytes": len(data)}).encode() + b"\n" + data)
    out.flush()


def main(sha256: str) -> None:
    read = settings.load()
    models = ModelCache(read, storage.connect(read))
    plan = Plan(load.parse(json.loads(sys.stdin.readline())), models.spec(sha256))
    renderer = models.renderer(sha256)
    _say(sys.stdout.buffer, {"numerics": _numerics(read)})
    for line in sys.stdin:
        _say(sys.stdout.buffer, {}, answer(json.loads(line), plan, renderer))


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except SpritemillError as error:
        sys.exit(str(error))
