"""Opening the clinic that the settings name, for a command or for the service.

- Nothing is created here: `wellkept init` alone makes a clinic.
- The passphrase of the key file is read when it is needed and is not kept.
"""

from __future__ import annotations

from ops.logging import alarm
from ops.settings import Settings
from ops.wiring import Clinic, open_clinic
from records.store.mapper import Alarm


def open_from(settings: Settings, *, read_only: bool = False, told: Alarm = alarm) -> Clinic:
    """Open the clinic.

    Args:
        settings: where it is.
        read_only: leave the writing lock to others, and write nothing.
        told: what is told of alarms; by default they are lines of the service's log.

    Raises:
        NotInitialised, KeyMissing, ClinicLocked, NotStored, IntegrityFailure: see `ops.wiring.open_clinic`.
    """
    return open_clinic(
        settings.data,
        database_url=settings.database_url,
        key_file=settings.key_file,
        passphrase=settings.passphrase(),
        read_only=read_only,
        alarm=told,
    )
