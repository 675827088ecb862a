"""The files of one disclosed event, and their manifest: a pure function of that event.

Source: CRYPTO 4 (payload, disclosed event key, proof); the decision on disclosing one entry for the layout.

- `event.json` is for reading and names the key; `payload` is the ciphertext that it opens. Who checks the bundle opens
  the one by the other, and believes nothing beside it.
- The manifest names every file outside `proof/`, and stands in the release by its digest.

It proves nothing (`projections.export.proof`) and writes no file.
"""

from __future__ import annotations

from typing import Any

from projections.export.bundle import Files, with_manifest
from projections.export.one_event import DisclosedEvent
from projections.export.readme import in_words, on_one_line
from projections.export.record_json import readable_json
from records.event import topic_of

FORMAT = "wellkept-event/1"


def to_event_files(event: DisclosedEvent, verifier: bytes) -> Files:
    """Return the files; `verifier` is the text of `verify.py`."""
    files = {
        "README.txt": _readme(event),
        "event.json": readable_json(_told(event)),
        "payload": event.payload,
        "verify.py": verifier,
    }
    manifest = {
        "format": FORMAT,
        "clinic": event.clinic["name"],
        "deployment_id": event.clinic["deployment_id"],
        "client_id": event.client_id,
        "index": event.recorded.index,
        "version": event.recorded.version,
    }
    return with_manifest(files, manifest)


def _told(event: DisclosedEvent) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "clinic": event.clinic,
        "client_id": event.client_id,
        "index": event.recorded.index,
        "version": event.recorded.version,
        "recorded_at": event.recorded.recorded_at,
        "topic": topic_of(event.recorded.event),
        "key": event.key.hex(),
        "segments": [
            {"path": each.path, "salt": each.salt.hex(), "content": each.content.decode()} for each in event.segments
        ],
    }


def _readme(event: DisclosedEvent) -> bytes:
    """Return `README.txt`, in plain words for whoever gets it: a court, a GP."""
    return _TEXT.format(
        clinic=on_one_line(event.clinic["name"]),
        told=in_words(event.recorded.recorded_at, event.clinic["time_zone"]),
        index=event.recorded.index,
    ).encode()


_TEXT = """\
ONE ENTRY OF A HEALTH RECORD

This is one entry of a record at {clinic}, recorded on {told}.
The clinic gives this entry and no other. It stands at place {index} of the clinic's log.

WHAT IS IN IT

  event.json      what the entry says, under `segments`; and the key of this one entry
  payload         the entry as the clinic keeps it: locked
  proof/          that the entry is in the clinic's log, and that the clinic gave it
  manifest.json   the list of these files
  verify.py       the program that checks all of it

WHAT IT DOES NOT OPEN

Every entry has a key of its own. The key in this folder opens the one payload beside it and nothing else: no other
entry of this person or of anybody can be opened by it, or be found out from it.

HOW TO CHECK IT

Every entry stands in a log that the clinic cannot change unseen. To check this one you need
- the clinic's fingerprint: 64 signs that stand on its privacy notice and its consent forms. Take it from there and not
  from this folder: whoever forges an entry can forge a fingerprint beside it;
- a computer with Python 3.11 or newer and the package `cryptography`.

Unpack this file, and in its folder run

    python verify.py --genesis FINGERPRINT

It opens the payload by the key and says whether each word is the one that was logged, at that time and in that place.
It needs no internet. What it cannot say is whether what was written is true, whether it was corrected later, or what
else the record holds.

KEEP IT SAFE

Whoever has this file can read the entry, for ever. Keep it where only those can reach it who may read it.
"""
