"""Every event of a client's record has a place in FHIR, or a reason why it has none."""

from __future__ import annotations

from projections.fhir.mapping import CONCEPTS, MAPPING, WITHOUT
from records.catalogue import CATALOGUE
from records.event import StreamKind

CLIENT = {topic for topic, event in CATALOGUE.items() if event.stream_kind is StreamKind.CLIENT}


def test_every_topic_of_a_record_is_mapped_or_has_a_reason() -> None:
    assert CLIENT - set(MAPPING) - set(WITHOUT) == set()


def test_no_topic_is_mapped_twice_or_also_left_out() -> None:
    assert len(MAPPING) == sum(len(concept.MAPS) for concept in CONCEPTS)
    assert set(MAPPING) & set(WITHOUT) == set()


def test_nothing_is_mapped_that_is_not_of_a_record() -> None:
    assert (set(MAPPING) | set(WITHOUT)) - CLIENT == set()


def test_a_reason_says_something() -> None:
    assert all(reason.strip() for reason in WITHOUT.values())
    assert CLIENT, "without a topic none of this could fail"
