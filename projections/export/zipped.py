"""A bundle as a zip: the same files give the same bytes.

- Every member has the export's one date, plain permissions, and a name with forward slashes.
- Names are ours and never a client's.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime

_MODE = 0o100600 << 16
"""A plain file that only its owner reads, as zip keeps it."""
_UNIX = 3
_LEVEL = 3
"""Pages of clinical text shrink to a tenth at any level; the highest ones cost most of an export's time."""


def to_zip(files: Mapping[str, bytes], as_of: datetime) -> bytes:
    """Return the zip."""
    at = as_of.astimezone(UTC)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            member = zipfile.ZipInfo(name, (at.year, at.month, at.day, at.hour, at.minute, at.second))
            member.create_system, member.external_attr = _UNIX, _MODE
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, data, compresslevel=_LEVEL)
    return buffer.getvalue()
