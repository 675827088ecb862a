"""The check of one disclosed event: whether the key opens the sealed bytes that the log names, and says just this.

Source: CRYPTO 1, 2 and 4; the decision on disclosing one entry.

- The bytes are those that the entry names, and the key opens them in the place of the entry and nowhere else.
- What `event.json` repeats for reading is what opens, word by word, with the salts that the key gives.
- Of other events nothing is shown and nothing is proved: not how many there are, nor whether one corrects this one.

Its steps are those of the plan of `ops.verifier.record`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from uuid import UUID

from ops.verifier.bundle import (
    CLINIC,
    DISCLOSED,
    EVENT_FORMAT,
    OF_AN_EVENT,
    Entry,
    FilesDisagree,
    RecordFiles,
    WrongPlace,
    from_hex,
    from_id,
    from_time,
    manifest_of,
    opened,
    shaped,
)
from ops.verifier.log import ProvedLog
from ops.verifier.run import BundleVerifier
from ops.verify import (
    EVENT,
    MAX_PAYLOAD_BYTES,
    RECORD_KEY,
    AlteredPayload,
    AlteredText,
    BrokenChain,
    Genesis,
    Incomplete,
    KeyDoesNotOpen,
    MalformedPayload,
    Policy,
    content_root,
    open_event,
    parse_plaintext,
)


class EventVerifier(BundleVerifier):
    """One run over the bundle of one event."""

    def __init__(self, path: Path, policy: Policy) -> None:
        super().__init__(path, policy, ("opened",))
        self.index = 0

    def run(self) -> None:
        """Take every step of the plan that is of one event.

        Raises:
            VerificationError: at the first that fails.
        """
        files = RecordFiles(self._path)
        manifest = manifest_of(files, OF_AN_EVENT)
        log = self._prove(files)
        told = read_event(files, manifest, log.genesis)
        entry = self._entry(log, told)
        event_key = from_hex(told["key"], "event.json", entry.index)
        topic, segments = open_payload(files.read("payload", MAX_PAYLOAD_BYTES), event_key, entry, log.genesis)
        self._compare(told, entry, topic, segments)
        self.counts["opened"] = 1
        release = self._release(files, log, entry, entry.index + 1)
        if release.version == entry.version + 1 and release.previous != entry.leaf:
            raise BrokenChain(
                f"Entry {release.index} names another entry as the one before it in its stream.", release.index
            )
        # [5] nothing else was slipped in among the entries
        wanted = {turn.index for turn in log.turns} | {entry.index, release.index}
        for index in sorted(log.entries.keys() - wanted):
            raise WrongPlace(f"Entry {index} is in proof/log.json and is neither the event nor its release.", index)
        self._judge_outside(log)

    def shown(self) -> str:
        """Return what is proved."""
        return f"The event of entry {self.index} that is shown is the one that was signed, and its key opens it"

    def _entry(self, log: ProvedLog, told: dict[str, Any]) -> Entry:
        # [14] in its place
        index = told["index"]
        entry = log.entries.get(index)
        if entry is None:
            raise Incomplete(f"Entry {index} is not in proof/log.json.", index)
        place = (EVENT, RECORD_KEY, from_id(told["client_id"], "event.json"), told["version"])
        if (entry.kind, entry.key_class, entry.stream, entry.version) != place:
            raise WrongPlace(f"Entry {index} is of another stream, kind or version than event.json says.", index)
        self.index = index
        return entry

    def _compare(self, told: dict[str, Any], entry: Entry, topic: str, segments: list[tuple[bytes, bytes]]) -> None:
        index = entry.index
        # [15] every segment, its salt among them, and in the order in which they are sealed
        event, _ = opened(told["segments"], entry, "event.json")
        if [(path.encode(), text.encode()) for path, text in event.texts.items()] != segments:
            raise FilesDisagree("event.json says other words than its key opens.", index)
        # [15] topic and time are the header's and the entry's
        if told["topic"] != topic:
            raise FilesDisagree("event.json has another topic than its key opens.", index)
        known = (event.header or {}).get("originally_recorded_at")
        at_us = entry.at_us if known is None else from_time(known, "event.json", index)
        if from_time(told["recorded_at"], "event.json", index) != at_us:
            raise WrongPlace("The event was recorded at another time than event.json says.", index)


def read_event(files: RecordFiles, manifest: dict[str, Any], genesis: Genesis) -> dict[str, Any]:
    """Return event.json, when it says the same as genesis and manifest: step 6.

    Raises:
        MalformedRecord: it is not of its layout.
        FilesDisagree: they say different things.
    """
    # [6] exactly the keys of its layout
    told = files.document("event.json", DISCLOSED, EVENT_FORMAT)
    clinic = shaped(told["clinic"], CLINIC, "The clinic in event.json")
    # [6] genesis and manifest
    own = (str(UUID(bytes=genesis.deployment)), genesis.origin, genesis.fingerprint)
    if (clinic["deployment_id"], clinic["origin"], clinic["fingerprint"]) != own:
        raise FilesDisagree("event.json names another log than the one of its genesis.")
    repeated = {key: told[key] for key in ("client_id", "index", "version")}
    repeated |= {"clinic": clinic["name"], "deployment_id": clinic["deployment_id"]}
    for key, value in repeated.items():
        if manifest[key] != value:
            raise FilesDisagree(f"manifest.json and event.json say different things of {key}.")
    return told


def open_payload(
    state: bytes, event_key: bytes, entry: Entry, genesis: Genesis
) -> tuple[str, list[tuple[bytes, bytes]]]:
    """Return topic and segments of sealed bytes, when they are those of the entry and the key opens them: step 14.

    Raises:
        AlteredPayload: they are not the bytes that were logged.
        KeyDoesNotOpen: it is the key of another event.
        MalformedPayload, AlteredText: what opens is not what the entry commits to.
    """
    index = entry.index
    # [14] the bytes are those that were logged
    if (len(state), hashlib.sha256(state).digest()) != (entry.length, entry.digest):
        raise AlteredPayload(f"The payload is not the one of entry {index}.", index)
    # [14] sealed under the key that the entry names
    if state[:2] != bytes([1, entry.key_class]) or state[4:20] != entry.key:
        raise KeyDoesNotOpen(f"The payload of entry {index} is of another key or format.", index)
    # [14] in this place and no other
    parts = (genesis.deployment, b"event")
    place = b"".join(len(part).to_bytes(2, "big") + part for part in parts) + entry.stream
    context = b"wellkept/ctx/1" + place + entry.version.to_bytes(8, "big") + state[1:36]
    try:
        plaintext = open_event(event_key, context, state[36:])
    except KeyDoesNotOpen as error:
        raise KeyDoesNotOpen(f"The key in event.json does not open the payload of entry {index}.", index) from error
    try:
        topic, segments = parse_plaintext(plaintext)
    except ValueError as error:
        raise MalformedPayload(f"What the key of entry {index} opens is no event.", index) from error
    # [15] the words are those that the entry commits to
    if content_root(event_key, segments) != entry.content:
        raise AlteredText(f"The text of entry {index} is not the one that the entry commits to.", index)
    return topic, segments
