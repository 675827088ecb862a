"""Opening the clinic that the settings name, for a command or for the service.

- Nothing is created here: `wellkept init` alone makes a clinic.
- A log that the anchor contradicts is opened for nothing but reading, by whoever looks into it.
- The passphrase of the key file is read when it is needed and is not kept.
"""

from __future__ import annotations

from ops import anchor
from ops.keys.providers import open_provider
from ops.logging import alarm
from ops.settings import Settings
from ops.wiring import Clinic, open_clinic
from records.errors import NotStored
from records.store.mapper import Alarm


def open_from(settings: Settings, *, read_only: bool = False, told: Alarm = alarm) -> Clinic:
    """Open the clinic.

    Args:
        settings: where it is.
        read_only: leave the writing lock to others, and write nothing.
        told: what is told of alarms; by default they are lines of the service's log.

    Raises:
        SettingsError, CommandFailed: the key provider cannot be used as it is set.
        NotInitialised, KeyMissing, ClinicLocked, NotStored, IntegrityFailure: see `ops.wiring.open_clinic`.
        RolledBack: the anchor holds a checkpoint that is not a part of this log.
    """
    clinic = open_clinic(
        settings.data,
        database_url=settings.database_url,
        provider=open_provider(settings),
        read_only=read_only,
        alarm=told,
    )
    try:
        _hold_to_anchor(clinic, settings)
    except BaseException:
        clinic.abandon()
        raise
    return clinic


def _hold_to_anchor(clinic: Clinic, settings: Settings) -> None:
    """Hold the log to the newest checkpoint of the anchor, where this process leads the signing."""
    if settings.anchor is None or clinic.signer is None or not clinic.signer.leads:
        return
    try:
        anchor.require_prefix(settings.anchor, clinic.store, clinic.signer.trust, clinic.signer.signed())
    except OSError as error:
        raise NotStored("the anchor (WELLKEPT_ANCHOR) cannot be read") from error
