"""Tests on a file system of ours are collected where one can be mounted: it takes `/dev/fuse` and root."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.faults.power_fs import PowerFs

with tempfile.TemporaryDirectory() as _probe:
    collect_ignore = (
        []
        if PowerFs.usable(Path(_probe))
        else ["test_power_cut.py", "test_failing_disk.py", "test_erasure_full_disk.py"]
    )
