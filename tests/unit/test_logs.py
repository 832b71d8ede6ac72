"""Logs in files: whole lines, and no more of them than a disk bears."""

import logging
from pathlib import Path

import pytest

from core import logs


def test_full_file_is_begun_anew_beside_the_last_three(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_MOST_BYTES", 1000)
    log = tmp_path / "logs" / "mill.log"
    handler = logs._handler(log)
    lines = [f"line {number}" for number in range(1000)]
    for line in lines:
        handler.emit(logging.makeLogRecord({"msg": line}))
    handler.close()
    files = [log, *(log.with_name(f"mill.log.{number}") for number in (1, 2, 3))]
    assert sorted(log.parent.iterdir()) == files
    kept = [line for file in reversed(files) for line in file.read_text().splitlines()]
    assert kept == lines[-len(kept) :]
    assert all(file.stat().st_size <= 1000 for file in files)
