"""Pages: how many items a list shows at once, and reading a stream's end without reading all of it.

Source: AUDIT A11 (at most 50 clients a page).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from records.errors import InvalidContent, LedgerMismatch

LARGEST_PAGE = 50


def limit_of(parameters: Mapping[str, Any]) -> int:
    """Return how many items were asked for; the largest page where nothing was said.

    Raises:
        InvalidContent: `/limit` is not between 1 and `LARGEST_PAGE`.
    """
    limit = parameters.get("limit")
    if limit is None:
        return LARGEST_PAGE
    if not 1 <= limit <= LARGEST_PAGE:
        raise InvalidContent("/limit", f"Is not between 1 and {LARGEST_PAGE}.")
    return int(limit)


def last_version(rows: Callable[[int, int | None], Sequence[object]]) -> int:
    """Return the last version of a stream by asking for single versions, which are dense from 1; 0 for none.

    Args:
        rows: `(after, upto)` → the stream's rows with `after < version <= upto`.

    Cost: about twice the logarithm of the length in look-ups.

    Raises:
        LedgerMismatch: something is stored after the version that seemed to be the last, so one is missing.
    """
    beyond = 1
    while rows(beyond - 1, beyond):
        beyond *= 2
    known = beyond // 2
    while beyond - known > 1:
        middle = (known + beyond) // 2
        if rows(middle - 1, middle):
            known = middle
        else:
            beyond = middle
    if rows(known, None):
        raise LedgerMismatch("a stream with a version missing")
    return known
