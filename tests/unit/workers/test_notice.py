"""The notice to stop crosses a fork, and never gets later."""

import math
import os
import time

from workers.notice import Notice


def test_notice_is_seen_by_a_child_forked_before_it_was_given() -> None:
    notice = Notice()
    ready, done = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.read(ready[0], 1)
        os.write(done[1], b"yes" if notice.given and notice.deadline < math.inf else b"no")
        os._exit(0)
    notice.give(5.0)
    os.write(ready[1], b"x")
    assert os.read(done[0], 3) == b"yes"
    os.waitpid(child, 0)


def test_notice_without_a_deadline_lets_shards_end() -> None:
    notice = Notice()
    notice.give(math.inf)
    assert notice.given
    assert notice.deadline == math.inf


def test_second_notice_may_shorten_but_not_prolong() -> None:
    notice = Notice()
    notice.give(5.0)
    sooner = notice.deadline
    notice.give(60.0)
    assert notice.deadline == sooner
    notice.give(0.0)
    assert notice.deadline <= time.monotonic()
