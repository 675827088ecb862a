"""Risk, as the current view shows it: open prompts, and what a clinician judged last."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

import msgspec


class PromptItem(msgspec.Struct, frozen=True, kw_only=True):
    """An answer to a risk item that no clinician has answered yet.

    Attributes:
        assessment_id, version: the assessment, and the version of the last event that touched it (the ETag).
        measure, item, value: which item of which measure (counted from 1), and the answer to it.
        taken_at, recorded_at: when it was filled in, and when it was recorded.
        in_session: False where it was filled in outside a session.
        text: one sentence for people.
    """

    assessment_id: UUID
    version: int
    measure: str
    item: int
    value: int
    taken_at: datetime
    recorded_at: datetime
    in_session: bool = True
    session_id: UUID | None = None
    text: str


class RiskItem(msgspec.Struct, frozen=True, kw_only=True):
    """The last risk assessment; fields as in `records.risk.RiskAssessed`.

    Attributes:
        assessments: how many risk assessments there are.
    """

    id: UUID
    version: int
    level: str
    formulation: str
    findings: dict[str, str] = msgspec.field(default_factory=dict)
    details: dict[str, str] = msgspec.field(default_factory=dict)
    protective_factors: str | None = None
    actions: str | None = None
    who_told: str | None = None
    review_date: date | None = None
    assessed_by: str
    assessed_by_name: str = ""
    assessed_at: datetime
    assessments: int = 1
