"""How fast this machine renders a request: `python -m workers.commands.calibrate SHA256 < request`.

Renders a shard, of a large one two tiles, and prints JSON: `load_seconds`, `samples_per_second`,
and `png_bytes`, the size of one sprite.
"""

import json
import sys
import time
from io import BytesIO

from core import settings, storage
from core.dataset.shard import unpack
from core.errors import ConflictError, SpritemillError
from core.request import load
from core.request.plan import Plan, Shard
from workers.model_cache import ModelCache
from workers.render import Renderer, Unwatched, render_shard

_WARM_SAMPLES = 2
_TILES = 2


def calibrate(plan: Plan, renderer: Renderer) -> dict[str, float]:
    """Samples a second with everything but the upload, and bytes of a PNG file."""
    render_shard(plan, Shard(0, 0, min(plan.total, _WARM_SAMPLES)), renderer, Unwatched())
    # No tile that is larger than the job's own: those are faster.
    shard = Shard(0, 0, min(plan.total, plan.shard_samples, _TILES * renderer.tile))
    started = time.monotonic()
    packed = render_shard(plan, shard, renderer, Unwatched())
    seconds = time.monotonic() - started
    pictures = [len(png) for _, png in unpack(BytesIO(packed.tar), plan.spec.size)]
    if not pictures:
        raise ConflictError(
            f"the quality rules refused all of {shard.count} sprites, each {_tries(plan)} times.",
            remedy="Loosen them, or allow more tries.",
        )
    return {
        "samples_per_second": packed.samples / seconds,
        "png_bytes": sum(pictures) / len(pictures),
    }


def _tries(plan: Plan) -> int:
    return plan.request.quality.tries if plan.request.quality else 1


def main(sha256: str) -> None:
    started = time.monotonic()
    read = settings.load()
    models = ModelCache(read, storage.connect(read))
    renderer = models.renderer(sha256)
    loaded = time.monotonic() - started
    plan = Plan(load.parse(sys.stdin.read()), models.spec(sha256))
    json.dump({"load_seconds": loaded, **calibrate(plan, renderer)}, sys.stdout)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except SpritemillError as error:
        sys.exit(str(error))
