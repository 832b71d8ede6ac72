"""An embedded mill from request to dataset: real workers, broker and ledger, a fake renderer."""

from pathlib import Path

import psutil
import pytest

from core.errors import ConflictError, SpritemillError
from core.ledger.states import JobState
from orchestrator import broker, mill_file
from orchestrator.mill import Mill
from orchestrator.service import Service
from tests.integration.yard import SHARD, mill_process, request, settings, until


def test_request_becomes_a_dataset_that_verifies(tmp_path: Path) -> None:
    with Mill(settings(tmp_path), workers=1) as mill:
        submitted = mill.service.submit(request(6))
        seen: list[int] = []
        status = mill.service.wait(submitted.job.id, lambda now: seen.append(now.samples))
        report = mill.service.datasets.verify("latest")
    assert status.job.state == JobState.SUCCEEDED
    assert (report.problems, report.samples) == ((), 6 * SHARD)
    assert report.digest == status.job.dataset_digest
    assert seen[-1] == 6 * SHARD
    assert (Path(status.dataset) / "manifest.json").is_file()
    assert not (tmp_path / "store" / "work" / status.job.id).exists()


def test_dataset_does_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    digests = set()
    for workers in (1, 2):
        with Mill(settings(tmp_path / str(workers), fake_rate=200.0), workers=workers) as mill:
            until(lambda: len(mill.service.workers()) == workers, "all workers are there")  # noqa: B023
            job = mill.service.submit(request(8)).job.id
            digests.add(mill.service.wait(job).job.dataset_digest)
    assert len(digests) == 1
    assert None not in digests


def test_same_request_is_made_once_unless_asked_again(tmp_path: Path) -> None:
    with Mill(settings(tmp_path), workers=1) as mill:
        first = mill.service.submit(request(1))
        mill.service.wait(first.job.id)
        second = mill.service.submit(request(1, name="other words"))
        third = mill.service.submit(request(1), again=True)
        assert (first.created, second.created, third.created) == (True, False, True)
        assert second.job.id == first.job.id
        assert (
            mill.service.wait(third.job.id).job.dataset_digest
            == mill.service.status(first.job.id).job.dataset_digest
        )


def test_paused_job_goes_on_when_it_is_resumed(tmp_path: Path) -> None:
    with Mill(settings(tmp_path, fake_rate=40.0, renew_seconds=0.5), workers=1) as mill:
        job = mill.service.submit(request(8)).job.id
        until(lambda: mill.service.status(job).job.shards_done, "a shard is done")
        assert mill.service.pause(job).state == JobState.PAUSED
        until(lambda: mill.service.status(job).leased == 0, "its shards are handed back")
        held = mill.service.status(job).job.shards_done
        other = mill.service.submit(request(2, seed=1)).job.id
        assert mill.service.wait(other).job.state == JobState.SUCCEEDED
        assert mill.service.status(job).job.shards_done == held < 8
        mill.service.resume(job)
        assert mill.service.wait(job).job.state == JobState.SUCCEEDED


def test_cancelled_job_keeps_what_was_done_and_frees_the_workers(tmp_path: Path) -> None:
    with Mill(settings(tmp_path, fake_rate=100.0, renew_seconds=0.5), workers=1) as mill:
        job = mill.service.submit(request(50)).job.id
        until(lambda: mill.service.status(job).job.shards_done, "a shard is done")
        assert mill.service.cancel(job).state == JobState.CANCELLED
        until(lambda: mill.service.status(job).leased == 0, "workers have left it")
        done = mill.service.status(job).job.shards_done
        kept = list((tmp_path / "store" / "datasets" / job / "shards").glob("*.tar"))
        assert 0 < done <= len(kept) < 50
        with pytest.raises(ConflictError, match="cancelled"):
            mill.service.resume(job)
        other = mill.service.submit(request(1, seed=1)).job.id
        assert mill.service.wait(other).job.state == JobState.SUCCEEDED
        mill.service.remove(job)
        assert not (tmp_path / "store" / "datasets" / job / "shards").exists()


def test_messages_in_the_broker_stay_as_few_as_there_are_slots(tmp_path: Path) -> None:
    with Mill(settings(tmp_path, fake_rate=200.0), workers=1) as mill:
        job = mill.service.submit(request(200)).job.id
        most = 0
        with broker.client(mill.settings.broker_url) as client:
            while mill.service.status(job).job.shards_done < 6:
                queues = client.keys(f"{mill.settings.broker_prefix}render*")
                most = max([most, *(client.llen(name) for name in queues)])
        assert 0 < most <= mill.settings.slots
        mill.service.cancel(job)


def test_workers_are_added_and_taken_while_a_job_runs(tmp_path: Path) -> None:
    def ready() -> int:
        return sum(worker.state == "ready" for worker in mill.service.workers())

    with Mill(settings(tmp_path, fake_rate=50.0), workers=0) as mill:
        job = mill.service.submit(request(12)).job.id
        mill.ensure_workers(2)
        until(lambda: ready() == 2, "two workers are ready")
        mill.ensure_workers(1)
        until(lambda: ready() == 1, "one has left")
        assert mill.service.wait(job).job.state == JobState.SUCCEEDED
        assert not [event for event in mill.service.events(job) if event.kind == "shard.failed"]


def test_second_mill_on_a_folder_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    at = settings(tmp_path, workers=0)
    with mill_process(at) as first, pytest.raises(ConflictError, match=f"pid {first.pid} "):
        Mill(at, workers=0).__enter__()


def test_request_is_handed_to_a_mill_that_is_up(tmp_path: Path) -> None:
    at = settings(tmp_path, workers=1)
    with mill_process(at) as process, Service(at) as service:
        found = mill_file.find(tmp_path)
        assert found
        assert found.pid == process.pid
        broker.check(found.broker_url)
        job = service.submit(request(2)).job.id
        assert service.wait(job).job.state == JobState.SUCCEEDED
        assert mill_file.stop(tmp_path, at.grace_seconds)
        assert process.wait(20) is not None
        assert mill_file.find(tmp_path) is None


def test_workers_started_beside_a_mill_work_for_it_until_they_are_drained(tmp_path: Path) -> None:
    at = settings(tmp_path, workers=0)
    with mill_process(at), Service(at) as service:
        (started,) = service.start_workers(1)
        job = service.submit(request(2)).job.id
        assert service.wait(job).job.state == JobState.SUCCEEDED
        assert started["id"] in {worker.id for worker in service.order_workers(None, "drain")}
        until(lambda: not psutil.pid_exists(started["pid"]) or _zombie(started["pid"]), "it left")
        assert [worker.state for worker in service.workers()] == ["gone"]
        assert job in "\n".join(service.logs(job))


def test_estimate_comes_from_tiles_that_are_rendered(tmp_path: Path) -> None:
    with Service(settings(tmp_path, fake_rate=200.0)) as service:
        found = service.estimate(request(100))
    assert 20 < found.rate < 200
    assert found.estimate.samples == 100 * SHARD
    assert found.estimate.seconds == pytest.approx(100 * SHARD / found.rate)
    assert found.load_seconds > 0
    assert not (tmp_path / "ledger.db").exists()


def test_mill_leaves_only_its_folder_behind(tmp_path: Path) -> None:
    with Mill(settings(tmp_path), workers=1) as mill:
        until(lambda: len(mill.service.workers()) == 1, "the worker is there")
        socket = Path(mill.settings.broker_url.removeprefix("redis+socket://"))
        assert socket.exists()
    assert not socket.parent.exists()
    assert not (tmp_path / "mill.json").exists()
    with Service(mill.settings) as service:
        assert [worker.state for worker in service.workers()] == ["gone"]


def test_workers_that_cannot_start_end_the_waiting(tmp_path: Path) -> None:
    at = settings(tmp_path, heartbeat_seconds=-1.0)  # which a worker's own check refuses
    with Mill(at, workers=1) as mill:
        job = mill.service.submit(request(1)).job.id
        with pytest.raises(SpritemillError, match="heartbeat_seconds"):
            mill.service.wait(job)


def _zombie(pid: int) -> bool:
    return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
