"""Attachments over HTTP: sent as base64, offered for saving, never shown as a page of ours, hidden when in error."""

from __future__ import annotations

import base64
from typing import Any
from uuid import uuid4

import pytest

from api.attachments import ATTACHMENT, MOST_BYTES
from records.attachments import MAX_BYTES
from records.store.unit import RowDelete, Unit
from tests.api.caller import Served, T


def body(content: bytes = b"Dear colleague.", **more: Any) -> dict[str, Any]:
    return {**ATTACHMENT, "content": base64.b64encode(content).decode(), **more}


@pytest.mark.parametrize(
    ("content", "media_type", "extension"),
    [
        ("Grüße.".encode(), "text/plain", "txt"),
        (b"<html><script>alert(1)</script></html>", "text/plain", "txt"),
        (b"%PDF-1.7\n%%EOF", "application/pdf", "pdf"),
    ],
)
def test_a_file_comes_back_to_be_saved(served: Served, content: bytes, media_type: str, extension: str) -> None:
    added = served.post("/attachments", body(content))
    assert added.status_code == 201
    file = added.json["id"]
    answered = served.call("GET", added.headers["Location"])
    assert (answered.status_code, answered.data, answered.mimetype) == (200, content, media_type)
    assert answered.headers["Content-Disposition"] == f'attachment; filename="{file}.{extension}"'
    assert answered.headers["X-Content-Type-Options"] == "nosniff"
    assert answered.headers["Cache-Control"] == "no-store"
    if media_type == "text/plain":
        assert answered.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    "content", ["", "QQ", "QQ==\n", "Q Q=", "QQ==QQ==", "é", "\ud800", "data:,QQ", 1, None, "-_=="]
)
def test_what_is_no_base64_is_refused(served: Served, content: Any) -> None:
    before = served.events()
    answered = served.post("/attachments", {**ATTACHMENT, "content": content})
    assert answered.status_code == 422
    assert served.events() == before


def test_the_largest_file_is_taken_and_a_larger_one_is_not(served: Served) -> None:
    file = b"%PDF-".ljust(MAX_BYTES, b"x")
    added = served.post("/attachments", body(file))
    assert added.status_code == 201
    assert served.call("GET", added.headers["Location"]).data == file
    assert served.post("/attachments", body(file + b"x")).status_code == 422
    assert served.post("/attachments", body(file + b"x" * (MOST_BYTES - MAX_BYTES))).status_code == 413


def test_in_error_it_is_hidden_counted_and_still_opened(served: Served) -> None:
    file, version = served.made("/attachments", body())
    item = served.get().json["attachments"][0]
    assert (item["id"], item["version"], item["returned_at"]) == (file, version, None)
    assert served.post(f"/attachments/{file}/error", {"reason": "Another's."}).status_code == 428
    assert served.post(f"/attachments/{file}/error", {"reason": "Another's."}, if_match=version + 9).status_code == 412
    assert served.post(f"/attachments/{file}/error", {"reason": "Another's."}, if_match=version).status_code == 201
    assert served.get().json["attachments"] == []
    assert served.get(f"/attachments/{file}").data == b"Dear colleague."
    assert served.post(f"/attachments/{file}/return", {}, if_match=version + 1).status_code == 409


def test_an_original_is_given_back_on_its_version(served: Served) -> None:
    file, version = served.made("/attachments", body())
    assert served.post(f"/attachments/{file}/return", {}).status_code == 428
    assert served.post(f"/attachments/{file}/return", {}, if_match=version).status_code == 201
    assert served.get().json["attachments"][0]["returned_at"] is not None


def test_a_file_that_is_gone_raises_an_alarm_and_shows_nothing(served: Served) -> None:
    file, _ = served.made("/attachments", body())
    [row] = served.clinic.store.rows("attachment")
    served.clinic.store.commit(Unit(deletes=(RowDelete("attachment", row.row_id),)))
    answered = served.get(f"/attachments/{file}")
    assert answered.status_code == 503
    assert b"Dear" not in answered.data
    assert [(code, told["error"]) for code, told in served.alarms] == [("http.integrity", "SealBroken")]


def test_what_was_erased_is_gone(served: Served) -> None:
    file, _ = served.made("/attachments", body())
    served.clinic.erase(served.client_id)
    assert served.get(f"/attachments/{file}").status_code == 410
    assert served.get(f"/attachments/{uuid4()}", by=T).status_code == 410
