"""A slot without its worker: what it refuses to render."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core import ledger as ledgers
from core import weights
from core.errors import UnreachableError
from core.ledger import Ledger, events, jobs, leftovers, returns, shards
from core.ledger.jobs import Job, NewJob
from core.ledger.states import JobState
from core.ledger.upgrade import upgrade
from core.messages import RenderHint
from core.request import load
from core.request.plan import RENDERER_VERSION, digest, plan
from core.settings import Settings
from core.storage import connect
from core.weights.spec import ModelSpec
from tests.unit.workers.conftest import REQUEST
from workers import patience
from workers.identity import Identity
from workers.notice import Notice
from workers.slot import Slot

Submit = Callable[..., Job]


class Away:
    """What the ledger does, once it has not answered so many calls."""

    def __init__(
        self,
        answer: Callable[..., Any],
        calls: int = 1000,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        self.answer = answer
        self.calls = calls
        self.meanwhile = meanwhile

    def __call__(self, *arguments: Any) -> Any:
        self.meanwhile()
        if self.calls:
            self.calls -= 1
            raise UnreachableError("the database does not answer")
        return self.answer(*arguments)


def weights_of(spec: ModelSpec) -> bytes:
    """A file that describes a model and holds no tensors."""
    text = json.dumps({"__metadata__": {weights.METADATA_KEY: spec.model_dump_json()}}).encode()
    return len(text).to_bytes(8, "little") + text


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, renderer="fake")


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    upgrade(settings.ledger_url)
    ledger = ledgers.connect(settings.ledger_url)
    yield ledger
    ledger.close()


@pytest.fixture
def submit(settings: Settings, ledger: Ledger, spec: ModelSpec) -> Submit:
    data, made = weights_of(spec), plan(load.parse(REQUEST), spec)
    sha256 = hashlib.sha256(data).hexdigest()
    connect(settings).put(f"models/{sha256}.safetensors", data)

    def add(version: int = RENDERER_VERSION) -> Job:
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
        return job

    return add


def test_job_that_was_planned_for_another_renderer_is_refused_and_told(
    settings: Settings, ledger: Ledger, submit: Submit
) -> None:
    for version in (RENDERER_VERSION, RENDERER_VERSION + 1):
        job = submit(version)
        Slot(settings, Identity("w1", {}, 0), Notice()).take(RenderHint(job.id, 0, 0))
        told = [event for event in events.of(ledger, job.id) if event.kind == "shard.failed"]
        assert len(told) == int(version != RENDERER_VERSION)
        assert all("another version of the renderer" in event.fields["error"] for event in told)
        assert jobs.get(ledger, job.id).shards_done == 1 - len(told)


def test_shard_is_kept_until_the_ledger_is_back_however_long_that_takes(
    settings: Settings, ledger: Ledger, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Away(shards.commit, calls=100)
    monkeypatch.setattr(shards, "commit", away)
    monkeypatch.setattr(patience, "_FIRST_WAIT", 0.0)
    job = submit()
    Slot(settings, Identity("w1", {}, 0), Notice()).take(RenderHint(job.id, 0, 0))
    found = jobs.get(ledger, job.id)
    assert (away.calls, found.shards_done, found.failures) == (0, 1, {})


def test_claim_whose_answer_was_lost_is_rendered(
    settings: Settings, ledger: Ledger, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, claim, answers = submit(), shards.claim, [False]

    def lossy(*arguments: Any, again: bool) -> Any:
        found = claim(*arguments, again=again)
        if not answers.pop():
            answers.append(True)
            raise UnreachableError("the database does not answer")
        return found

    monkeypatch.setattr(shards, "claim", lossy)
    monkeypatch.setattr(patience, "_FIRST_WAIT", 0.0)
    Slot(settings, Identity("w1", {}, 0), Notice()).take(RenderHint(job.id, 0, 0))
    found = jobs.get(ledger, job.id)
    assert (found.shards_done, found.shards_leased, found.failures) == (1, 0, {})


def test_what_was_sent_for_a_shard_that_was_lost_meanwhile_is_looked_after(
    settings: Settings, ledger: Ledger, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submit()

    def lose() -> None:
        returns.take_back(ledger, [job.id], 1)
        assert jobs.move(ledger, job.id, JobState.CANCELLED)
        leftovers.clear(ledger, job.id, leftovers.due(ledger)[job.id])

    monkeypatch.setattr(shards, "commit", Away(shards.commit, calls=0, meanwhile=lose))
    Slot(settings, Identity("w1", {}, 0), Notice()).take(RenderHint(job.id, 0, 0))
    assert leftovers.due(ledger) == {job.id: 1}


def test_stop_is_not_kept_waiting_by_a_ledger_that_does_not_come_back(
    settings: Settings, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    notice = Notice()
    away = Away(shards.commit, meanwhile=lambda: notice.give(0.2))
    monkeypatch.setattr(shards, "commit", away)
    monkeypatch.setattr(shards, "release", Away(shards.release))
    with pytest.raises(UnreachableError, match="not handed back in time"):
        Slot(settings, Identity("w1", {}, 0), notice).take(RenderHint(submit().id, 0, 0))
