"""Threads of the application share one core; the process and its other threads stay free."""

from __future__ import annotations

import os
import sys
import threading

from ops.serving.one_core import settle_thread


def test_a_thread_settles_on_one_core_and_the_process_keeps_all() -> None:
    if sys.platform != "linux":
        settle_thread()
        return
    before = os.sched_getaffinity(0)
    seen: list[set[int]] = []

    def work() -> None:
        settle_thread()
        settle_thread()
        seen.append(os.sched_getaffinity(0))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(len(cores) == 1 for cores in seen)
    assert all(cores == seen[0] for cores in seen), "threads that take turns share a core"
    assert os.sched_getaffinity(0) == before
