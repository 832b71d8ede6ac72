"""A hint becomes a shard in the store and in the ledger: once."""

from io import BytesIO
from urllib.parse import urlsplit

import pytest

from core.dataset.shard import unpack
from core.ledger import jobs, shards
from core.ledger.states import JobState
from core.messages import RenderHint
from tests.integration.workers.floor import UNKNOWN, Floor, until


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, ledger_url: str) -> str:
    if request.param == "sqlite":
        return ledger_url
    url: str = request.getfixturevalue("fresh_database")
    return url


def test_hinted_shards_are_rendered_and_committed(floor: Floor) -> None:
    job = floor.job(samples=100, shard_samples=40)
    floor.worker(slots=2)
    floor.send(job)
    until(lambda: floor.now(job).state is JobState.FINALIZING, "finalizing")
    done = shards.done(floor.ledger, job.id)
    assert [shard.samples for shard in done] == [40, 40, 20]
    assert floor.now(job).samples_done == 100
    numbers = []
    for shard in done:
        data = floor.store.get(shard.key)
        assert len(data) == shard.size
        assert floor.store.head(shard.part_key)
        numbers += [record.number for record, _ in unpack(BytesIO(data), 16)]
    assert numbers == list(range(100))


def test_log_names_no_password(floor: Floor) -> None:
    hand = floor.worker(log_level="debug")
    job = floor.job(samples=8, shard_samples=8)
    floor.send(job)
    until(lambda: floor.now(job).shards_done == 1, "done")
    for url in (floor.settings.broker_url, floor.settings.ledger_url):
        password = urlsplit(url).password
        assert not password or password not in hand.said()


def test_repeated_hints_are_rendered_once(floor: Floor) -> None:
    job = floor.job(samples=40, shard_samples=40)
    hint = floor.send(job)[0]
    for _ in range(5):
        floor.post(hint)
    hand = floor.worker(slots=2)
    until(lambda: len(hand.events("hint.refused")) == 5, "refusals")
    until(lambda: floor.now(job).shards_done == 1, "done")
    assert hand.committed() == [1]
    assert len(hand.events("shard.claimed")) == 1


def test_hint_for_an_unknown_job_is_refused_and_work_goes_on(floor: Floor) -> None:
    hand = floor.worker()
    floor.post(RenderHint(UNKNOWN, 0, 0))
    until(lambda: hand.events("hint.refused"), "refusal")
    job = floor.job(samples=8, shard_samples=8)
    floor.send(job)
    until(lambda: floor.now(job).shards_done == 1, "done")


def test_first_claim_pins_the_numerics_class(floor: Floor) -> None:
    job = floor.job(samples=80, shard_samples=40)
    floor.worker()
    floor.send(job, limit=1)
    until(lambda: floor.now(job).numerics, "pinned")
    until(lambda: floor.now(job).shards_done == 1, "first")
    floor.send(job)
    until(lambda: floor.now(job).shards_done == 2, "second, by the queue of the class")


def test_weights_that_nobody_has_fail_the_job_with_their_name(floor: Floor) -> None:
    job = floor.job(samples=8, shard_samples=8)
    floor.store.delete(f"models/{job.weights}.safetensors")
    hand = floor.worker()

    def failed() -> bool:
        floor.send(job)
        return floor.now(job).state is JobState.FAILED

    until(failed, "failed")
    until(lambda: len(hand.events("shard.failed")) == 3, "three failures")
    assert job.weights in (jobs.get(floor.ledger, job.id).error or "")
