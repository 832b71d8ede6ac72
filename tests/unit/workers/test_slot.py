"""A slot without its worker: what it refuses to render."""

import hashlib
import json
from pathlib import Path

from core import ledger as ledgers
from core import weights
from core.ledger import events, jobs, shards
from core.ledger.jobs import NewJob
from core.ledger.upgrade import upgrade
from core.messages import RenderHint
from core.request import load
from core.request.plan import RENDERER_VERSION, digest, plan
from core.settings import Settings
from core.storage import connect
from core.weights.spec import ModelSpec
from tests.unit.workers.conftest import REQUEST
from workers.identity import Identity
from workers.notice import Notice
from workers.slot import Slot


def weights_of(spec: ModelSpec) -> bytes:
    """A file that describes a model and holds no tensors."""
    text = json.dumps({"__metadata__": {weights.METADATA_KEY: spec.model_dump_json()}}).encode()
    return len(text).to_bytes(8, "little") + text


def test_job_that_was_planned_for_another_renderer_is_refused_and_told(
    tmp_path: Path, spec: ModelSpec
) -> None:
    settings = Settings(home=tmp_path, renderer="fake")
    data, made = weights_of(spec), plan(load.parse(REQUEST), spec)
    sha256 = hashlib.sha256(data).hexdigest()
    connect(settings).put(f"models/{sha256}.safetensors", data)
    upgrade(settings.ledger_url)
    ledger = ledgers.connect(settings.ledger_url)
    for version in (RENDERER_VERSION, RENDERER_VERSION + 1):
        new = NewJob(
            id=jobs.new_id(),
            owner="ann",
            name="heroes",
            request=load.canonical(made.request),
            request_digest=digest(made, sha256, version),
            model=spec.name,
            weights=sha256,
            total_samples=made.total,
            shard_count=made.shard_count,
            shard_samples=made.shard_samples,
            context_count=made.context_count,
        )
        job, _ = jobs.add(ledger, new)
        counts = [made.shard(number).count for number in range(made.shard_count)]
        shards.plan_rows(ledger, job.id, 0, counts)
        Slot(settings, Identity("w1", {}, 0), Notice()).take(RenderHint(job.id, 0, 0))
        told = [event for event in events.of(ledger, job.id) if event.kind == "shard.failed"]
        assert len(told) == int(version != RENDERER_VERSION)
        assert all("another version of the renderer" in event.fields["error"] for event in told)
        assert jobs.get(ledger, job.id).shards_done == 1 - len(told)
    ledger.close()
