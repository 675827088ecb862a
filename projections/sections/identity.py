"""Identity, as the current view shows it."""

from __future__ import annotations

from datetime import datetime

from records.registration import Identity


class IdentityItem(Identity, frozen=True, kw_only=True, omit_defaults=False):
    """Who the client is and how to reach them; the fields are those of `Identity`.

    Attributes:
        version: version of the last event that touched identity (the ETag).
        registered_at: when the client was registered.
    """

    version: int
    registered_at: datetime
