"""The catalogue: one class for each topic, every class in it, and nothing unknown ever becomes an event."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

import records
from records.catalogue import CATALOGUE, CONCEPTS, UPCASTERS, to_event, upcast
from records.errors import UnknownTopic
from records.event import Event, topic_of
from records.payload import Segment
from records.staff import AccountDisabled


def test_every_event_class_is_listed_once() -> None:
    for module in pkgutil.iter_modules(records.__path__):
        importlib.import_module(f"records.{module.name}")
    concepts = {concept.__name__ for concept in CONCEPTS}
    classes = {cls for cls in Event.__subclasses__() if cls.__module__ in concepts}

    assert set(CATALOGUE.values()) == classes
    assert len(CATALOGUE) == sum(len(concept.EVENTS) for concept in CONCEPTS)


@pytest.mark.parametrize("cls", CATALOGUE.values(), ids=CATALOGUE)
def test_a_topic_reads_noun_first_and_its_class_says_since_when(cls: type[Event]) -> None:
    noun, dot, fact = topic_of(cls).partition(".")

    assert noun.islower()
    assert dot
    assert fact.islower()
    assert "Since " in (cls.__doc__ or "")
    assert cls.subject == "" or cls.subject in cls.__struct_fields__


def test_a_topic_of_no_class_is_refused() -> None:
    for topic, version in (("records.notes:NoteSigned", 1), ("note.unheard_of", 1), ("note.signed", 2)):
        with pytest.raises(UnknownTopic):
            upcast(topic, version, {})


def test_a_header_that_names_another_topic_than_the_seal_is_refused() -> None:
    header = b'{"topic":"account.disabled","occurred_at":"2026-01-01T00:00:00Z","entered_by":"a","request_id":"r",'
    segment = Segment("v1", header + b'"staff_id":"00000000-0000-4000-8000-000000000001"}')

    assert isinstance(to_event("account.disabled", (segment,)), AccountDisabled)
    with pytest.raises(UnknownTopic):
        to_event("account.created", (segment,))


@pytest.mark.parametrize("missing", ["occurred_at", "entered_by", "staff_id"])
def test_a_payload_that_does_not_fit_its_class_is_refused(missing: str) -> None:
    document = {
        "topic": "account.disabled",
        "occurred_at": datetime(2026, 1, 1, tzinfo=UTC),
        "entered_by": "a",
        "request_id": "r",
        "staff_id": "00000000-0000-4000-8000-000000000001",
    }
    del document[missing]
    with pytest.raises(UnknownTopic):
        to_event("account.disabled", (Segment("v1", msgspec.json.encode(document)),))


def test_an_old_payload_climbs_one_version_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AccountDisabled, "payload_version", 3)
    monkeypatch.setitem(UPCASTERS, ("account.disabled", 1), lambda old: {**old, "steps": [1]})
    with pytest.raises(UnknownTopic):
        upcast("account.disabled", 1, {})

    monkeypatch.setitem(UPCASTERS, ("account.disabled", 2), lambda old: {**old, "steps": [*old["steps"], 2]})
    assert upcast("account.disabled", 1, {}) == {"steps": [1, 2]}
    assert upcast("account.disabled", 3, {"as": "it is"}) == {"as": "it is"}


FIRST_READINGS = """
import sys, threading
from pathlib import Path
from records.catalogue import CATALOGUE, to_event
from records.payload import decode_payload

sys.setswitchinterval(1e-6)
folder = Path(sys.argv[1])
payloads = {topic: decode_payload((folder / f"{topic}.v1.payload").read_bytes()) for topic in CATALOGUE}
start = threading.Barrier(12)

def read():
    start.wait()
    for topic, segments in payloads.items():
        to_event(topic, segments)

threads = [threading.Thread(target=read) for _ in range(12)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_the_first_readings_of_a_new_process_may_come_at_the_same_moment() -> None:
    # The library crashed about every second such process when it worked the classes out on demand.
    root = Path(__file__).parents[2]
    for _ in range(6):
        command = [sys.executable, "-c", FIRST_READINGS, str(root / "tests" / "golden" / "payloads")]
        run = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        assert run.returncode == 0, f"ended with {run.returncode}: {run.stderr}"
