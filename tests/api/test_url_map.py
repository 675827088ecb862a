"""Every address: declared, recorded once for each client when it is read, and silent when the log cannot be written."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from api.app import create_app
from api.attachments import ATTACHMENT
from api.audit import LAST_INDEX
from api.door import Declared
from api.exports import EXPORT
from records.actors import Role
from records.erasing import Waiting
from records.errors import NotStored, OutcomeUnknown
from records.policy import TABLE
from records.service import Service
from tests.api.caller import CLERK, GENEROUS, OFFICER, Served, T
from tests.doors import FaultyStore
from tests.signed_clinic import sign_log

CANARY = "canary-d71e"
OTHERS = {
    "/v1/audit": OFFICER,
    "/v1/retention": OFFICER,
    "/log/": OFFICER,
    "/disclosures/letter": CLERK,
    "/exports": CLERK,
    "/erasure": OFFICER,
}
"""Part of an address that a therapist does not read → who does."""


def declarations(served: Served) -> dict[str, Declared]:
    """Return what each rule of the map is declared as."""
    views = served.app.view_functions
    return {f"{rule} {rule.methods}": views[rule.endpoint].declared for rule in served.app.url_map.iter_rules()}  # type: ignore[attr-defined]  # every route carries it


def test_every_address_is_declared(served: Served) -> None:
    declared = declarations(served)
    assert len(declared) > 30
    assert {each.kind for each in declared.values()} == {"reading", "change", "proof", "public"}
    for each in declared.values():
        assert each.kind == "public" or each.action in TABLE


def test_every_address_takes_only_what_it_declares(served: Served) -> None:
    for rule in served.app.url_map.iter_rules():
        declared = served.app.view_functions[rule.endpoint].declared  # type: ignore[attr-defined]  # as above
        assert rule.methods is not None
        assert not rule.methods & {"HEAD", "OPTIONS"}
        assert ("GET" in rule.methods) == (declared.kind != "change")
        if declared.kind != "public":
            assert rule.rule.startswith("/v1/")


def erased(served: Served) -> Waiting:
    """Erase another client, whose certificate there is to read."""
    erasure: Waiting = served.clinic.erase(served.clinic.register())
    sign_log(served.clinic)
    return erasure


def readings(served: Served, erasure: Waiting) -> list[str]:
    """Return a real address for every clinical reading of the map, with something to read behind each."""
    note, _ = served.note(CANARY)
    sign_log(served.clinic)
    draft = uuid4()
    review = served.clinic.emergency(served.clinic.hire(T, "Kim Vale")[0], served.client_id)
    text = {"kind": "progress", "format": "free", "sections": {"text": CANARY}}
    served.call("PUT", served.of(f"/notes/{draft}/draft"), text)
    assert served.get().status_code == 200
    drawn = uuid4()
    assert served.call("POST", "/v1/audit/spot-checks", {"id": str(drawn)}, by=OFFICER).status_code == 201
    made = served.call("POST", served.of("/exports"), EXPORT, by=CLERK)
    assert made.json is not None
    exported = made.json["id"]
    added = served.call("POST", served.of("/attachments"), ATTACHMENT)
    assert added.json is not None
    attachment = added.json["id"]
    index = served.clinic.reader.access_events(served.client_id)[-1].index
    found = []
    for rule in served.app.url_map.iter_rules():
        if served.app.view_functions[rule.endpoint].declared.kind == "reading":  # type: ignore[attr-defined]  # as above
            note_id = str(draft if rule.rule.endswith("/draft") else note)
            path = rule.rule.replace("<uuid:client_id>", str(served.client_id)).replace("<uuid:note_id>", note_id)
            path = path.replace("<uuid:draw_id>", str(drawn))
            if "<uuid:erasure_id>" in path:
                path = rule.rule.replace("<uuid:client_id>", str(erasure.client_id))
                path = path.replace("<uuid:erasure_id>", str(erasure.erasure_id))
            path = path.replace(f"<int(max={LAST_INDEX}):index>", str(index))
            path = path.replace("<uuid:review_id>", str(review))
            path = path.replace("<uuid:export_id>", str(exported))
            path = path.replace("<uuid:attachment_id>", str(attachment))
            path = path.replace("<path:tile>", "000.p/1")
            assert "<" not in path, "give the new address something to read"
            found.append(path)
    return found


def reader_of(path: str) -> Role:
    """Return who may read an address."""
    return next((role for part, role in OTHERS.items() if part in path), T)


def test_every_reading_leaves_exactly_one_entry_for_each_client(served: Served) -> None:
    other = served.clinic.register(family="Quillfeather")
    # The first entry of a year makes the year's key, which has an entry of its own.
    assert served.get().status_code == 200
    erasure = erased(served)
    clients = (served.client_id, other, erasure.client_id)
    for path in readings(served, erasure):
        before = ([len(served.access(client)) for client in clients], len(served.access(None)), served.stored())
        answered = served.call("GET", path, by=reader_of(path))
        assert answered.status_code == 200, path
        shown = [client for client in clients if str(client) in path + answered.data.decode("utf-8", "replace")]
        after = ([len(served.access(client)) for client in clients], len(served.access(None)), served.stored())
        assert after[0] == [count + (client in shown) for client, count in zip(clients, before[0], strict=True)], path
        assert after[1] == before[1] + (not shown), path
        assert after[2] == before[2] + max(1, len(shown)), path


@pytest.mark.parametrize("fails", [NotStored, OutcomeUnknown])
@pytest.mark.parametrize("stored", [False, True], ids=["not stored", "stored, but the answer was lost"])
def test_nothing_is_shown_when_its_entry_cannot_be_written(
    served: Served, fails: type[NotStored] | type[OutcomeUnknown], stored: bool
) -> None:
    paths = readings(served, erased(served))
    store, http = faulty(served)
    for path in paths:
        store.fails, store.stored = fails, stored
        headers = served.headers("GET", reader_of(path), None, None, None)
        answered = http.get(path, headers=headers)
        assert answered.status_code == 503, path
        assert answered.headers["Retry-After"]
        assert answered.mimetype == "application/problem+json"
        assert CANARY not in answered.text
        assert "Marsh" not in answered.text
        store.fails = None
        recovered = http.get(path, headers=headers)
        assert recovered.status_code == 200, path


def test_nothing_is_told_of_a_change_that_was_not_stored(served: Served) -> None:
    store, http = faulty(served)
    store.fails = NotStored
    body = {"kind": "progress", "format": "free", "sections": {"text": CANARY}}
    headers = served.headers("POST", T, None, "one", None)
    answered = http.post(served.of("/notes"), json=body, headers=headers)
    assert answered.status_code == 503
    assert answered.json is not None
    assert answered.json["type"] == "/problems/not-stored"
    assert served.events() == 1
    store.fails = None
    assert http.post(served.of("/notes"), json=body, headers=headers).status_code == 201


def test_a_lost_answer_is_found_again_by_its_key(served: Served) -> None:
    store, http = faulty(served)
    store.fails, store.stored = OutcomeUnknown, True
    body = {"kind": "progress", "format": "free", "sections": {"text": CANARY}}
    headers = served.headers("POST", T, None, "one", None)
    lost = http.post(served.of("/notes"), json=body, headers=headers)
    assert lost.status_code == 503
    assert lost.json is not None
    assert lost.json["type"] == "/problems/outcome-unknown"
    store.fails = None
    assert http.post(served.of("/notes"), json=body, headers=headers).status_code == 201
    assert served.events() == 2


def faulty(served: Served) -> tuple[FaultyStore, Any]:
    """Return the clinic's store behind one that fails when told, and callers of an app on it."""
    store = FaultyStore(served.clinic.store)
    opened = served.clinic.opened
    service = Service(store, opened.keyring, served.clinic.clock, lambda *told: None)  # type: ignore[arg-type]  # stands for a store
    clinic = opened._replace(service=service, drafts=type(opened.drafts)(service, store))
    return store, create_app(clinic, rate=GENEROUS).test_client()
