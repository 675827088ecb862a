"""Exports over HTTP: released once, fetched as often as needed, told to the client, gone when the client is erased."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any
from uuid import uuid4

import pytest

from api.exports import EXPORT
from projections.export.releasing import ONE_ENTRY
from records.actors import Purpose, Role
from tests.api.caller import Served

CLERK = Role.RECORDS_CLERK
PATRQT = {"Purpose-Of-Use": "PATRQT"}


def body(served: Served, **more: Any) -> dict[str, Any]:
    return EXPORT | more


def released(served: Served, **more: Any) -> str:
    made = served.call("POST", served.of("/exports"), body(served, **more), by=CLERK)
    assert made.status_code == 201, made.json
    assert made.json is not None
    assert made.headers["Location"] == f"/v1/clients/{served.client_id}/exports/{made.json['id']}"
    return str(made.json["id"])


def fetched(served: Served, export_id: str) -> zipfile.ZipFile:
    answered = served.call("GET", served.of(f"/exports/{export_id}"), by=CLERK, headers=PATRQT)
    assert (answered.status_code, answered.mimetype) == (200, "application/zip"), answered.json
    assert "no-store" in answered.headers["Cache-Control"]
    return zipfile.ZipFile(io.BytesIO(answered.data))


def test_a_bundle_is_fetched_as_it_was_released_however_the_record_goes_on(served: Served) -> None:
    served.note("first words")
    export_id = released(served)
    first = fetched(served, export_id)
    served.note("later words")
    again = fetched(served, export_id)
    assert again.read("manifest.json") == first.read("manifest.json")
    assert "first words" in again.read("record.json").decode()
    assert "later words" not in again.read("record.json").decode()


def test_the_bundle_of_one_entry_is_fetched_like_any_other(served: Served) -> None:
    served.note("the one entry")
    clinic, disclosure_id = served.clinic, uuid4()
    index = clinic.reader.rows(served.client_id)[-1].position
    request = clinic.request(CLERK)
    told = EXPORT | {"disclosure_id": disclosure_id, "authorised_by": request.actor.id}
    told = {name: said for name, said in told.items() if name not in ("id", "pdf", "at")} | {"description": ONE_ENTRY}
    clinic.opened.releasing.release(served.client_id, request, Purpose.PATRQT, at=None, pdf=False, event=index, **told)
    bundle = fetched(served, str(disclosure_id))
    assert json.loads(bundle.read("event.json"))["segments"][-1]["content"] == "the one entry"


def test_the_same_request_twice_releases_once(served: Served) -> None:
    sent, key = body(served), str(uuid4())
    before = len(served.clinic.service.client(served.client_id).disclosures)
    answers = [served.call("POST", served.of("/exports"), sent, by=CLERK, key=key)]
    stored = served.stored()
    answers.append(served.call("POST", served.of("/exports"), sent, by=CLERK, key=key))
    assert served.stored() == stored
    assert [each.status_code for each in answers] == [201, 201]
    assert answers[0].json == answers[1].json
    assert len(served.clinic.service.client(served.client_id).disclosures) == before + 1
    other = served.call("POST", served.of("/exports"), sent | {"purpose": "Another."}, by=CLERK, key=key)
    assert other.status_code == 422


def test_the_client_is_told_of_the_release(served: Served) -> None:
    released(served, recipient="A new therapist", recipient_kind="health-provider")
    page = served.call("GET", served.of("/disclosures"), by=CLERK, headers=PATRQT).json
    assert page is not None
    assert page["items"][0]["recipient"] == "A new therapist"
    assert page["items"][0]["authorised_by"] == served.clinic.staff[CLERK].id
    report = served.call("GET", served.of("/access-report"), by=CLERK, headers=PATRQT)
    assert "prepared a copy of your record" in report.text


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"at": 10**8}, "/at"),
        ({"at": 0}, "/at"),
        ({"recipient": " "}, "/recipient"),
        ({"basis": "because"}, "/basis"),
        ({"authorised_by": str(uuid4())}, "/authorised_by"),
        ({"pdf": "yes"}, "/pdf"),
        ({"manifest_sha256": "0" * 64}, ""),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_released(served: Served, change: dict[str, Any], pointer: str) -> None:
    before = len(served.clinic.service.client(served.client_id).disclosures)
    answered = served.call("POST", served.of("/exports"), body(served, **change), by=CLERK)
    assert answered.status_code == 422
    assert answered.json is not None
    assert [each["pointer"] for each in answered.json["errors"]] == [pointer]
    assert len(served.clinic.service.client(served.client_id).disclosures) == before


def test_a_consent_that_does_not_cover_the_recipient_releases_nothing(served: Served) -> None:
    before = len(served.clinic.service.client(served.client_id).disclosures)
    answered = served.call("POST", served.of("/exports"), body(served, recipient_kind="gp", basis="consent"), by=CLERK)
    assert answered.status_code == 409
    assert len(served.clinic.service.client(served.client_id).disclosures) == before


def test_a_record_that_was_erased_has_no_exports(served: Served) -> None:
    erased = served.clinic.register()
    made = served.call("POST", f"/v1/clients/{erased}/exports", body(served), by=CLERK)
    assert made.json is not None
    address = f"/v1/clients/{erased}/exports/{made.json['id']}"
    assert served.call("GET", address, by=CLERK, headers=PATRQT).status_code == 200
    served.clinic.erase(erased)
    assert served.call("GET", address, by=CLERK, headers=PATRQT).status_code == 410
    assert served.call("POST", f"/v1/clients/{erased}/exports", body(served), by=CLERK).status_code == 410


def test_an_export_of_another_client_is_not_found_through_this_one(served: Served) -> None:
    other = served.clinic.register()
    export_id = released(served)
    address = f"/v1/clients/{other}/exports/{export_id}"
    assert served.call("GET", address, by=CLERK, headers=PATRQT).status_code == 404


def test_the_export_proves_its_number_up_to_its_own_place(served: Served) -> None:
    bundle = fetched(served, released(served))
    record, heads = json.loads(bundle.read("record.json")), json.loads(bundle.read("proof/heads.json"))
    assert heads["index"] == record["at"] - 1
    assert heads["heads"][str(served.client_id)] == len(record["events"])


def test_what_the_fonts_lack_is_named_and_releases_nothing(served: Served) -> None:
    served.note("\u4f60\u597d \U0001f33f")
    before = len(served.clinic.service.client(served.client_id).disclosures)
    refused = served.call("POST", served.of("/exports"), body(served, pdf=True), by=CLERK)
    assert refused.status_code == 409
    assert refused.json is not None
    assert refused.json["rule"] == "fonts-lack"
    assert "Han" in refused.json["detail"]
    assert len(served.clinic.service.client(served.client_id).disclosures) == before
    assert "\u4f60\u597d" in fetched(served, released(served)).read("record.html").decode()
