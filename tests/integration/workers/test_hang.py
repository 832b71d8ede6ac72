"""A child that hangs is ended, even when it holds Python's lock."""

import subprocess
import sys

from tests.integration.workers.floor import Floor

HANG = """
import re, sys
from core import ledger
from core.ledger import shards
from core.messages import RenderHint
from core.settings import load
from workers import lease
from workers.notice import Notice

lease._HUNG_AT_LEAST = 0.5
settings = load({"database_url": sys.argv[1], "lease_seconds": 0.2, "renew_seconds": 0.1})
opened = ledger.connect(settings.ledger_url)
claim = shards.claim(opened, RenderHint(sys.argv[2], 0, 0), "w", "n", 60.0)
with lease.Lease(opened, claim, settings, Notice()) as held:
    held.loaded()
    re.match(r"(a+)+$", "a" * 60 + "b")
"""


def test_child_that_hangs_with_pythons_lock_held_is_ended_with_a_trace(floor: Floor) -> None:
    job = floor.job(samples=8, shard_samples=8)
    floor.send(job)
    command = [sys.executable, "-c", HANG, floor.settings.ledger_url, job.id]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 1
    assert "Timeout" in ended.stderr
    assert "re/__init__.py" in ended.stderr
