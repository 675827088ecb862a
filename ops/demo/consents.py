"""Consents in the demo clinic: asked for in the first session, most of them given.

- The hash of a form is that of the text in `texts/scenes.json`.
- A client who was only assessed gives none but the privacy notice's.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from ops.demo.prose import SCENES
from records.consent import Form, record_consent

_LIKELY = {"information-sharing-gp": 0.75, "telehealth": 0.6, "recording": 0.4}


def form_of(kind: str) -> Form:
    """Return the clinic's form for a kind of consent."""
    text: str = SCENES["forms"][kind]
    return Form(form_id=kind, form_version="3", text_sha256=hashlib.sha256(text.encode()).hexdigest())


class Consents:
    """What one client agreed to. `given` maps the kind to the consent's id."""

    def __init__(
        self, do: Callable[..., None], new_id: Callable[[], UUID], rng: random.Random, *, emdr: bool, remote: bool
    ) -> None:
        self._do = do
        self._new_id = new_id
        self._rng = rng
        self._emdr = emdr
        self._remote = remote
        self.given: dict[str, UUID] = {}

    def ask(self, at: datetime, *, treated: bool) -> None:
        """Ask for what the course needs, and for what would help."""
        self.record(at, "privacy-notice", "given")
        if not treated:
            return
        needed = ("treatment", "supervision", *(("emdr",) if self._emdr else ()))
        for kind in needed:
            self.record(at, kind, "given")
        for kind, likely in _LIKELY.items():
            if kind != "telehealth" or self._remote:
                self.record(at, kind, "given" if self._rng.random() < likely else "refused")

    def record(self, at: datetime, kind: str, outcome: str, **facts: Any) -> None:
        """Record one consent."""
        consent_id = self._new_id()
        if kind == "information-sharing-gp":
            facts["recipient"] = SCENES["gp"]
        self._do(at, record_consent, consent_id=consent_id, kind=kind, outcome=outcome, form=form_of(kind), **facts)
        if outcome == "given":
            self.given[kind] = consent_id
