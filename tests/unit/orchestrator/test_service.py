"""Use cases that need no worker."""

import json
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core import weights
from core.dataset.layout import MANIFEST, dataset_prefix
from core.errors import ConflictError, NotFoundError, RequestError, UsageError
from core.ledger import jobs, shards, trials, workers
from core.ledger.states import JobState
from core.ledger.workers import NewWorker, WorkerState
from core.messages import RenderHint
from core.request.plan import RENDERER_VERSION
from core.settings import Settings
from orchestrator.service import Service
from tests.contracts.ledger_rows import WEIGHTS, Rows
from workers import numerics

REQUEST = json.dumps({"contexts": [{"class": "potion", "samples": 100}]})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", owner="ann", renderer="fake")


def test_looking_writes_nothing(settings: Settings) -> None:
    with Service(settings) as service:
        assert service.check(REQUEST).total == 100
        assert list(service.list()) == []
        assert list(service.workers()) == []
        assert [model.spec.name for model in service.models()] == ["dungeon-32"]
        for name in ("latest", "abc"):
            with pytest.raises(NotFoundError, match="no jobs yet"):
                service.status(name)
    assert not settings.home.exists()


def test_refused_request_writes_nothing(settings: Settings) -> None:
    with Service(settings) as service, pytest.raises(RequestError) as caught:
        service.submit(REQUEST.replace("potion", "poton"))
    (fault,) = caught.value.faults
    assert (fault.field, fault.value) == ("contexts[0].class", "poton")
    assert "potion" in fault.remedy
    assert not settings.home.exists()


def test_unknown_model_is_refused_with_the_known_ones(settings: Settings) -> None:
    text = json.dumps({"model": "dungeon-23", **json.loads(REQUEST)})
    with Service(settings) as service, pytest.raises(RequestError, match="dungeon-32"):
        service.submit(text)


def test_job_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    limited = Settings(home=tmp_path, max_samples=99)
    with Service(limited) as service, pytest.raises(RequestError, match="at most 99"):
        service.submit(REQUEST)


def test_ten_million_samples_are_admitted_in_the_memory_of_a_thousand(settings: Settings) -> None:
    roomy = replace(settings, store_url="s3://sprites")  # nothing goes there yet

    def most(samples: int) -> int:
        text = json.dumps({"contexts": [{"class": "potion", "samples": samples}]})
        tracemalloc.start()
        try:
            with Service(roomy) as service:
                job = service.submit(text).job
                assert service.status(job.id).job.total_samples == samples
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    most(1)  # what is imported and kept
    assert most(10_000_000) < most(1000) + 2**18


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"contexts": [{"class": "potion", "samples": 10**8}]}, ["GB free"]),
        ({"deadline": "2020-01-31T18:00:00Z"}, ["it has passed"]),
        (
            {
                "contexts": [{"class": "potion", "samples": 1, "negative": {"class": "hero"}}],
                "sampling": {"guidance": 1, "interval": [0.1, 2]},
            },
            ["contexts[0].negative: guidance 1", "sampling.interval = [0.1, 2]: guidance 1"],
        ),
    ],
)
def test_what_submit_would_refuse_check_refuses_too(
    settings: Settings, asked: dict[str, Any], told: list[str]
) -> None:
    text = json.dumps({**json.loads(REQUEST), **asked})
    with Service(settings) as service:
        for use in (service.check, service.submit):
            with pytest.raises(RequestError) as caught:
                use(text)
            assert [words for words in told if words not in str(caught.value)] == []
    assert not settings.home.exists()


@pytest.mark.parametrize(("shard_samples", "taken"), [(2, True), (1, False)])
def test_dataset_of_more_shards_than_a_manifest_lists_is_refused(
    settings: Settings, shard_samples: int, taken: bool
) -> None:
    contexts, outputs = [{"class": "potion"}], {"shard_samples": shard_samples}
    text = json.dumps({"contexts": contexts, "samples": 1_000_001, "outputs": outputs})
    told = ""
    with Service(replace(settings, store_url="s3://bucket/prefix")) as service:
        try:
            service.check(text)
        except RequestError as error:
            told = str(error)
    right = "outputs.shard_samples = 1: 1,000,001 samples .* Say 2 or more"
    assert (told == "") if taken else re.search(right, told)


def test_negative_is_taken_with_any_other_guidance(settings: Settings) -> None:
    context = {"class": "potion", "samples": 1, "negative": {"class": "hero"}}
    text = json.dumps({"contexts": [context], "sampling": {"guidance": 0}})
    with Service(settings) as service:
        assert service.check(text).total == 1


def test_submitted_job_pins_its_weights_and_waits(settings: Settings) -> None:
    with Service(settings) as service:
        job = service.submit(REQUEST).job
        assert job.weights == weights.sha256(weights.bundled())
        status = service.status(job.id[:4])
        assert (status.job.id, status.samples, status.rate, status.dataset) == (job.id, 0, None, "")
        assert service.status("latest").job == job
        assert [event.kind for event in service.events(job.id)] == ["job.planned"]


def test_submitted_job_has_the_urgency_and_the_limit_that_were_asked_for(
    settings: Settings,
) -> None:
    with Service(settings) as service:
        job = service.submit(json.dumps({**json.loads(REQUEST), "priority": -3, "workers": 2})).job
    assert (job.priority, job.workers) == (-3, 2)


def test_list_shows_the_owners_jobs_or_everyones(settings: Settings, tmp_path: Path) -> None:
    other = Settings(home=settings.home, owner="ben", renderer="fake")
    with Service(settings) as ann, Service(other) as ben:
        job = ann.submit(REQUEST).job
        assert ben.submit(REQUEST).job.id != job.id
        assert [each.id for each in ann.list()] == [job.id]
        assert len(ann.list(everyone=True)) == 2
        assert ann.list(states=["running"]) == []
        with pytest.raises(UsageError, match="planned, running"):
            ann.list(states=["walking"])


def test_latest_is_the_owners_own_and_stays_that_job_by_its_lasting_name(
    settings: Settings,
) -> None:
    child = json.dumps({**json.loads(REQUEST), "parent": "latest"})
    with Service(settings) as ann, Service(replace(settings, owner="ben")) as ben:
        job = ann.submit(REQUEST).job.id
        ben.submit(REQUEST)
        assert ann.datasets.lasting("latest") == job
        assert ann.datasets.lasting(job[:4]) == job[:4]
        jobs.move(ben.ledger, ben.job("latest").id, JobState.CANCELLED)
        with pytest.raises(RequestError, match="the job is planned"):
            ann.check(child)


def test_unfinished_job_has_no_dataset(settings: Settings, tmp_path: Path) -> None:
    with Service(settings) as service:
        job = service.submit(REQUEST).job.id
        for use in (
            lambda: service.datasets.place(job),
            lambda: service.datasets.preview(job),
            lambda: service.datasets.download(job, tmp_path / "out"),
            lambda: service.datasets.verify(job),
        ):
            with pytest.raises(ConflictError, match="planned"):
                use()
        with pytest.raises(ConflictError, match="cancel"):
            service.remove(job)


def test_paused_and_resumed_a_job_is_what_it_was(settings: Settings) -> None:
    with Service(settings) as service:
        job = service.submit(REQUEST).job.id
        for _ in range(2):
            assert service.pause(job).state == "paused"
        for _ in range(2):
            assert service.resume(job).state == "planned"
        shards.plan_rows(service.ledger, job, 0, [100])
        assert shards.claim(service.ledger, RenderHint(job, 0, 0), "w1", "n1", 60.0)
        service.pause(job)
        for _ in range(2):
            assert service.resume(job).state == "running"
        assert service.cancel(job).state == "cancelled"
        with pytest.raises(ConflictError, match="cancelled"):
            service.resume(job)


def test_removed_job_is_gone(settings: Settings) -> None:
    with Service(settings) as service:
        job = service.submit(REQUEST).job.id
        service.cancel(job)
        service.remove(job)
        with pytest.raises(NotFoundError):
            service.status(job)


def test_plan_counts_the_workers_that_are_asked_for_whoever_is_there(fleet: Service) -> None:
    fleet.submit(REQUEST)
    register(fleet, "w1", {})
    assert fleet.estimate(REQUEST).workers == 1
    assert fleet.estimate(REQUEST, 7).workers == 7


def test_workers_are_ordered_by_prefix_or_all(settings: Settings) -> None:
    with Service(settings) as service:
        service.upgrade()
        for name in ("abc1", "abd2"):
            new = NewWorker(name, "host", 1, 0.0, "none", "cpu", {}, 1)
            workers.register(service.ledger, new)
            workers.beat(service.ledger, name, WorkerState.READY)
        with pytest.raises(UsageError, match="ambiguous"):
            service.order_workers(["ab"], "drain")
        with pytest.raises(NotFoundError):
            service.order_workers(["x"], "drain")
        assert [worker.id for worker in service.order_workers(["abd"], "drain")] == ["abd2"]
        assert [worker.order for worker in service.workers()] == ["run", "drain"]
        assert len(service.order_workers(None, "stop")) == 2


def register(service: Service, name: str, facts: dict[str, Any], **values: int) -> None:
    """A worker that is ready, of the class of these facts."""
    new = NewWorker(name, "host", 1, 0.0, "Device", numerics.name(facts), facts, 1, **values)
    workers.register(service.ledger, new)
    workers.beat(service.ledger, name, WorkerState.READY)


@pytest.fixture
def fleet(settings: Settings) -> Iterator[Service]:
    """A service whose broker is not its own, so that no mill need be up here."""
    with Service(replace(settings, broker_url="redis://127.0.0.1:1/0")) as service:
        service.upgrade()
        yield service


def test_status_and_doctor_name_what_a_job_waits_for(fleet: Service) -> None:
    job = fleet.submit(REQUEST).job.id
    assert fleet.status(job).waits_for == "a worker"
    ours, newer = RENDERER_VERSION, RENDERER_VERSION + 1
    old, other = {"renderer": ours, "torch": "2.12"}, {"renderer": newer}
    register(fleet, "w1", other)
    assert fleet.status(job).waits_for.startswith("a worker of this version")
    register(fleet, "w2", old)
    assert fleet.status(job).waits_for == "the broker, which does not answer"
    shards.plan_rows(fleet.ledger, job, 0, [50, 50])
    assert shards.claim(fleet.ledger, RenderHint(job, 0, 0), "w2", numerics.name(old), 60.0)
    assert fleet.status(job).waits_for == ""
    workers.gone(fleet.ledger, "w2")
    waiting = fleet.status(job).waits_for
    assert waiting.startswith(
        f"a worker of its class {numerics.name(old)} (renderer {ours}, not {newer}"
    )
    assert "torch 2.12" in waiting
    ill = next(part for part in fleet.doctor() if part.part == "workers")
    assert (ill.ok, waiting in ill.detail) == (False, True)
    fleet.pause(job)
    assert fleet.status(job).waits_for == ""


def test_roster_tells_what_each_worker_renders_and_how_fast(fleet: Service) -> None:
    job = fleet.submit(REQUEST).job.id
    shards.plan_rows(fleet.ledger, job, 0, [50, 50])
    for worker in ("w1", "w2", "w3"):
        register(fleet, worker, {})
    for number, worker in enumerate(("w1", "w2")):
        hint = RenderHint(job, number, 0)
        claim = shards.claim(fleet.ledger, hint, worker, numerics.name({}), 60.0)
        assert claim
        shards.renew(fleet.ledger, claim, 60.0, 20 * number, 5.0)
    found = {each.worker.id: each for each in fleet.roster()}
    assert [(held.shard, held.samples, held.progress) for held in found["w2"].rendering] == [
        (1, 50, 20)
    ]
    assert [found[worker].rate for worker in ("w1", "w2", "w3")] == [None, 4.0, None]
    assert found["w3"].rendering == []


def test_priority_within_its_bounds_is_changed_while_a_job_is_not_over(fleet: Service) -> None:
    job = fleet.submit(REQUEST).job.id
    assert fleet.prioritise(job, -100).priority == -100
    with pytest.raises(UsageError, match="101"):
        fleet.prioritise(job, 101)
    fleet.cancel(job)
    with pytest.raises(ConflictError, match="cancelled"):
        fleet.prioritise(job, 1)


@pytest.mark.parametrize(
    ("pinned", "renderer", "told"),
    [
        (WEIGHTS, RENDERER_VERSION, "model dungeon-32 .* is not there"),
        (None, RENDERER_VERSION - 1, f"renderer {RENDERER_VERSION - 1} made it"),
    ],
)
def test_retry_leaves_a_dataset_alone_that_could_not_be_finished_again(
    fleet: Service, pinned: str | None, renderer: int, told: str
) -> None:
    rows, facts = Rows(fleet.ledger), {"renderer": renderer}
    rows.worker(numerics_facts=facts)
    job = rows.job(1, weights=pinned or weights.sha256(weights.bundled()))
    claim = rows.held(job)
    trials.give_up(fleet.ledger, claim, "potion/3", "not finite")
    assert rows.commit(claim)
    assert jobs.move(fleet.ledger, job.id, JobState.SUCCEEDED, dataset_digest="d" * 64)
    fleet.store.put(dataset_prefix(job.id) + MANIFEST, b"{}")
    with pytest.raises(ConflictError, match=told):
        fleet.retry(job.id)
    assert fleet.store.head(dataset_prefix(job.id) + MANIFEST)
    assert fleet.status(job.id).job.state == "succeeded"


def test_workers_that_are_wanted_follow_the_jobs_of_the_ledger(
    settings: Settings, fleet: Service
) -> None:
    job = fleet.submit(REQUEST).job
    (found,) = fleet.demands(0, 10)
    assert (found.numerics, found.jobs, found.wanted) == ("", 1, 1)
    fleet.pause(job.id)
    assert [each.wanted for each in fleet.demands(0, 10)] == [0]
    assert [each.wanted for each in fleet.demands(3, 10)] == [3]
    with Service(replace(settings, home=settings.home / "new")) as nothing_yet:
        assert [each.wanted for each in nothing_yet.demands(0, 10)] == [0]


def test_workers_are_not_started_without_a_broker(settings: Settings) -> None:
    with Service(settings) as service, pytest.raises(ConflictError, match="spritemill up"):
        service.start_workers(1)


def test_home_that_cannot_be_made_is_named() -> None:
    nowhere = Settings(home=Path("/proc/no-such-home"), store_url="/tmp")
    with Service(nowhere) as service, pytest.raises(UsageError, match="/proc/no-such-home"):
        service.submit(REQUEST)


def test_logs_are_the_lines_that_name_the_job_oldest_first(settings: Settings) -> None:
    with Service(settings) as service:
        job = service.submit(REQUEST).job.id
        planned = f'{{"job": "{job}", "event": "job.planned", "timestamp": "2026-01-01T09:00"}}'
        claimed = f'{{"job": "{job}", "event": "shard.claimed", "timestamp": "2026-01-01T10:00"}}'
        ended = f'{{"job": "{job}", "event": "job.succeeded", "timestamp": "2026-01-01T10:02"}}'
        foreign = f"Segmentation fault, said of {job}"
        settings.logs.mkdir()
        (settings.logs / "mill.log").write_text(f"{ended}\n")
        (settings.logs / "mill.log.1").write_text(f"{planned}\n")
        (settings.logs / "worker-1.log").write_text(f'{claimed}\n{{"job": "other"}}\n')
        (settings.logs / "worker-2.log").write_text(f"{foreign}\n")
        assert list(service.logs(job)) == [foreign, planned, claimed, ended]


def test_status_costs_no_heavy_import(settings: Settings) -> None:
    with Service(settings) as service:
        job = service.submit(REQUEST).job.id
    script = (
        "import sys; from pathlib import Path; from core.settings import Settings\n"
        "from orchestrator.service import Service\n"
        f"service = Service(Settings(home=Path({str(settings.home)!r}), owner='ann'))\n"
        f"service.status({job!r}); service.list(); service.workers()\n"
        "print(*sys.modules)"
    )
    asked = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    heavy = {"pydantic", "numpy", "pyarrow", "boto3", "celery", "redis", "torch", "alembic",
             "structlog", "sqlalchemy.orm", "yaml", "PIL"}  # fmt: skip
    assert not heavy & set(asked.stdout.split())
