"""The guards on a process: no core, no reading of its memory, no files for others, no orphans."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]


def said(code: str) -> list[str]:
    """Run code in a process of its own and return the words that it printed."""
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    )
    return ran.stdout.split()


def test_a_guarded_process_leaves_no_core_and_makes_files_for_its_user_only() -> None:
    words = said("""
        import os, resource
        from ops.process_guards import guard_process
        guard_process()
        print(*resource.getrlimit(resource.RLIMIT_CORE), os.umask(0))
    """)
    assert words == ["0", "0", str(0o077)]


def test_on_linux_the_kernel_keeps_others_out_of_its_memory() -> None:
    words = said("""
        import ctypes, sys
        from ops.process_guards import guard_process
        dumpable = lambda: ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) if sys.platform == "linux" else 0
        before = dumpable()
        guard_process()
        print(before, dumpable())
    """)
    assert words == (["1", "0"] if sys.platform == "linux" else ["0", "0"])


def test_a_worker_ends_with_the_process_that_started_it() -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent("""
                import os, sys, time
                from ops.process_guards import end_with_parent
                parent = os.getpid()
                if os.fork() == 0:
                    end_with_parent(parent)
                    print(os.getpid(), flush=True)
                time.sleep(60)
            """),
        ],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait(30)
    # The worker held the other end of the pipe; its end is the end of the stream.
    assert parent.stdout.read() == ""
    parent.stdout.close()
    assert worker != os.getpid()
