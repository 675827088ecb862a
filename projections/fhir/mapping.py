"""Which event becomes what in FHIR: one table, found by the topic.

Source: DOMAIN 7.

| file | events | resources |
|---|---|---|
| `identity` | client.* | Patient |
| `episodes` | episode.* | EpisodeOfCare, CarePlan, Condition |
| `sessions` | session.* | Encounter |
| `consents` | consent.* | Consent, RelatedPerson |
| `assessments` | assessment.* | QuestionnaireResponse, Observation, Flag |
| `risk` | risk.* | RiskAssessment, Flag |
| `goals` | goal.* | Goal, Observation |
| `notes` | note.* | DocumentReference |
| `disclosures` | disclosure.*, legal_hold.* | Communication, Flag |

Every event has a Provenance, too. An event of the client's record is either in the table or in `WITHOUT`.
"""

from __future__ import annotations

from projections.fhir import (
    assessments,
    attachments,
    consents,
    disclosures,
    episodes,
    goals,
    identity,
    notes,
    risk,
    sessions,
)
from projections.fhir.draft import Handler
from records.event import topic_of

CONCEPTS = (identity, episodes, sessions, consents, assessments, risk, goals, notes, attachments, disclosures)

MAPPING: dict[str, Handler] = {
    topic_of(event): handler for concept in CONCEPTS for event, handler in concept.MAPS.items()
}
"""Topic → what makes or changes its resources."""

WITHOUT: dict[str, str] = {
    "record.imported": "It says where the record comes from, as a Provenance does; nothing happened to the patient.",
}
"""Topic of a client's record that becomes no resource → why; its Provenance is about the patient."""
