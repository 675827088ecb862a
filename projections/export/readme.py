"""`README.txt`: what is in the bundle and how to check it, in plain words, for the client."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from projections.export.attached import FOLDER
from projections.export.material import REASONS, ExportedRecord


def to_readme(record: ExportedRecord, *, has_pdf: bool, has_files: bool) -> bytes:
    """Return the text."""
    events, readings = len(record.events), len(record.readings)
    paper = "\n  record.pdf          the same on paper" if has_pdf else ""
    files = f"\n  {FOLDER}/              what was attached: letters, forms, pictures" if has_files else ""
    left = "".join(
        f"\n- {each.count} {'part' if each.count == 1 else 'parts'}: {REASONS[each.reason]}" for each in record.left_out
    )
    return _TEXT.format(
        clinic=on_one_line(record.clinic),
        as_of=in_words(record.as_of, record.time_zone),
        at=record.at,
        events=events,
        readings=readings,
        paper=paper,
        files=files,
        left=left or "\n- nothing",
    ).encode()


def on_one_line(words: str) -> str:
    """Return a name on one line, without signs that steer a terminal."""
    return " ".join("".join(each if each.isprintable() else " " for each in words).split())


def in_words(at: datetime, zone: str) -> str:
    """Return a time as people are told it, in a zone."""
    local = at.astimezone(ZoneInfo(zone))
    return f"{local.day} {local:%B %Y} at {local:%H:%M} ({zone})"


_TEXT = """\
YOUR HEALTH RECORD

This is a copy of your record at {clinic}, as it stood on {as_of}.
It holds {events} entries, and tells of {readings} times that somebody looked at it or asked to.

WHERE TO BEGIN

  record.html         your record to read, in any browser; nothing is sent anywhere{paper}{files}
  access-report/      who looked, when and why: report.txt is for reading

FOR PROGRAMS

  record.json         your record with everything that proves it; record.schema.json describes each field
  fhir.json           the same for other health systems (HL7 FHIR R4)
  proof/              that all of this is in the clinic's log
  manifest.json       the list of these files

WHAT IS LEFT OUT
{left}
Drafts that nobody signed, and a therapist's own process notes, are never part of a copy.

HOW TO CHECK IT

Every entry of your record stands in a log that the clinic cannot change unseen. To check this copy you need
- the clinic's fingerprint: 64 signs that stand on its privacy notice and its consent forms. Take it from there and not
  from this folder: whoever forges a record can forge a fingerprint beside it;
- a computer with Python 3.11 or newer and the package `cryptography`.

Unpack this file, and in its folder run

    python verify.py --genesis FINGERPRINT

It says whether each word is the one that was logged, and how many entries there were. It needs no internet. What it
cannot say is whether what was written is true, or whether something was never written down.

KEEP IT SAFE

Whoever has this file can read your record. Keep it where only you can reach it. The index of this copy is {at}.
"""
