"""Which signals stop a command."""

import signal

import pytest

from orchestrator.cli.interrupt import interruptible


@pytest.mark.parametrize("before", [signal.SIG_IGN, signal.SIG_DFL])
def test_a_terminal_that_closes_stops_it_unless_nohup_says_no(before: signal.Handlers) -> None:
    kept = signal.signal(signal.SIGHUP, before)
    try:
        with interruptible() as stop:
            if before is signal.SIG_IGN:
                signal.raise_signal(signal.SIGHUP)
                assert not stop.is_set()
                signal.raise_signal(signal.SIGTERM)
            else:
                signal.raise_signal(signal.SIGHUP)
            assert stop.is_set()
        assert signal.getsignal(signal.SIGHUP) is before
    finally:
        signal.signal(signal.SIGHUP, kept)
