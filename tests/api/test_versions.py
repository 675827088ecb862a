"""If-Match: a change that builds on what was read needs its version; a stale one is refused, of the same item only."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from records.actors import Role
from tests.api.caller import DESK, S, Served, T, ahead

AMENDMENT = {"format": "free", "sections": {"text": "y"}, "reason": "Wrong."}


def versioned(served: Served) -> list[tuple[str, dict[str, Any], int]]:
    """Return address, body and right version of every change that builds on what was read."""
    episode, opened = served.episode()
    consent, given = served.consent()
    note, signed = served.note()
    goal, set_at = served.made("/goals", {"text": "x", "scale": "gas"})
    measured, version = served.made("/assessments", {"measure": "PHQ-9", "answers": [0] * 8 + [1]})
    sessions = [served.made("/sessions", {"episode_id": episode, "start": ahead(seconds=n)}) for n in range(4)]
    (moved, v1), (off, v2), (came, v3), (held, v4) = sessions
    return [
        (f"/consents/{consent}/withdrawal", {"channel": "in-person"}, given),
        (f"/notes/{note}/amendments", AMENDMENT, signed),
        (f"/goals/{goal}/changes", {"change": "pause"}, set_at),
        (f"/assessments/{measured}/prompt-clearance", {"reason": "Asked."}, version),
        (f"/sessions/{moved}/reschedule", {"start": ahead(hours=1)}, v1),
        (f"/sessions/{off}/cancellation", {"by": "client"}, v2),
        (f"/sessions/{came}/attendance", {"code": "5"}, v3),
        (f"/sessions/{held}/held", {"started_at": "2026-10-12T14:00:00Z", "breach_reason": "No form."}, v4),
        (f"/episodes/{episode}/phase", {"phase": "ending", "reason": "Leaving."}, opened),
    ]


def test_every_change_of_what_is_there_needs_its_version(served: Served) -> None:
    for path, body, version in versioned(served):
        before = served.events()
        assert served.post(path, body).status_code == 428, path
        assert served.post(path, body, if_match=version + 1000).status_code == 412, path
        assert served.events() == before
        done = served.post(path, body, if_match=version)
        assert done.status_code == 201, path
        assert done.json is not None
        assert done.headers["ETag"] == f'"{done.json["version"]}"'
        assert done.json["version"] > version


def test_errors_and_closures_need_their_version(served: Served) -> None:
    reason = {"reason": "Another client's."}
    episode, opened = served.episode()
    note, signed = served.note()
    consent, given = served.consent()
    measured, version = served.made("/assessments", {"measure": "GAD-7", "score": 9})
    cases = [
        (f"/notes/{note}/error", reason, signed),
        (f"/consents/{consent}/error", reason, given),
        (f"/assessments/{measured}/error", reason, version),
        (f"/episodes/{episode}/closure", {"reason": "46"}, opened),
    ]
    for path, body, right in cases:
        assert served.post(path, body).status_code == 428
        assert served.post(path, body, if_match=right + 1000).status_code == 412
        assert served.post(path, body, if_match=right).status_code == 201


def test_identity_needs_its_version_and_gives_the_next(served: Served) -> None:
    address = served.of("/identity")
    assert served.call("PATCH", address, {"phone": "1"}).status_code == 428
    moved = served.call("PATCH", address, {"phone": "1"}, if_match=1)
    assert moved.status_code == 200
    assert served.call("PATCH", address, {"phone": "2"}, if_match=1).status_code == 412
    again = served.call("PATCH", address, {"phone": "2"}, if_match=moved.headers["ETag"])
    assert again.status_code == 200
    view = served.get(by=DESK).json
    assert view is not None
    assert view["identity"]["phone"] == "2"
    assert f'"{view["identity"]["version"]}"' == again.headers["ETag"]
    emptied = served.call("PATCH", address, {"phone": None}, if_match=again.headers["ETag"])
    assert emptied.status_code == 200


def test_a_booking_makes_no_note_stale(served: Served) -> None:
    note, version = served.note()
    episode, _ = served.episode()
    served.made("/sessions", {"episode_id": episode, "start": ahead(days=1)}, by=DESK)
    served.made("/goals", {"text": "x", "scale": "none"})
    assert served.get(f"/notes/{note}").headers["ETag"] == f'"{version}"'
    assert served.post(f"/notes/{note}/amendments", AMENDMENT, if_match=version).status_code == 201


def test_the_current_view_has_the_tag_of_the_record(served: Served) -> None:
    _, version = served.note()
    assert served.get().headers["ETag"] == f'"{version}"'


def test_nothing_to_do_answers_200_with_the_standing_version(served: Served) -> None:
    consent, given = served.consent()
    _, withdrawn = served.made(f"/consents/{consent}/withdrawal", {"channel": "email"}, if_match=given)
    events = served.events()
    again = served.post(f"/consents/{consent}/withdrawal", {"channel": "email"}, if_match=given)
    assert again.status_code == 200
    assert again.json == {"id": consent, "version": withdrawn, "recorded_at": None}
    assert again.headers["ETag"] == f'"{withdrawn}"'
    assert served.events() == events


@pytest.mark.parametrize(("kind", "role"), [("members", T), ("supervisors", S)])
def test_care_team_changes_are_idempotent(served: Served, kind: str, role: Role) -> None:
    person = served.clinic.hire(role)[0]
    address = served.of(f"/care-team/{kind}/{person.id}")
    for method in ("PUT", "DELETE"):
        first = served.call(method, address, by=DESK)
        again = served.call(method, address, by=DESK)
        assert first.status_code == again.status_code == 200
        assert first.json is not None
        assert again.json is not None
        assert again.json["recorded_at"] is None
        assert again.json["version"] == first.json["version"]


def test_only_accounts_join_a_care_team(served: Served) -> None:
    address = served.of(f"/care-team/members/{uuid4()}")
    assert served.call("PUT", address, by=DESK).status_code == 404
    assert served.access()[-1].reason == "unknown-item"
    supervisor = served.clinic.staff[S].id
    assert served.call("DELETE", served.of(f"/care-team/members/{supervisor}"), by=DESK).status_code == 404
    own = served.call("PUT", served.of(f"/care-team/supervisors/{served.clinic.staff[DESK].id}"), by=DESK)
    assert own.status_code == 409
    assert own.json is not None
    assert own.json["rule"] == "own-membership"
