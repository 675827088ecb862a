r"""The offline verifier of what a clinic gives of a record: whether it is what the clinic's log holds of one client.

What must hold is CRYPTO 1 to 4 and the pages of decisions on exports, on one disclosed entry and on the verifier. It is
not given a log, but entries of one with a proof, so it holds that what is shown is part of the log that was signed, and
that its parts agree. The manifest's format says which of two it is: a whole record, or one event with its key.

The plan; each step is tagged with its number where it is taken (7 to 11 and 16 of a record, 14 and 15 of one event):

 0. Bundle: names stay inside, none stands twice, nothing is larger than it can be; JSON without duplicate keys, NaN or
    integers over 2^53.
 1. Manifest: it names exactly the files of the layout that are there, with their sizes and digests; `proof/` holds
    exactly what it must.
 2. Genesis: its body has the fingerprint that *the caller* gives.
 3. Epochs: each is signed by both keys of the one before (a restore by both recovery keys), and follows it; the
    checkpoint in it says the same; its body is the one that its entry names.
 4. Checkpoint: all three signatures by the keys of the newest epoch; witnesses that *the caller* names.
 5. Tree: every entry leads to the checkpoint's root by one proof of which every hash is used; their times rise.
 6. Record, or event: exactly the keys of its layout; clinic and place are those of genesis and manifest; what is left
    out is counted.
 7. Events: dense versions of the client's stream below the place, each naming the leaf before it; time and topic are
    the entry's and the header's; the segments open the content root.
 8. Readings: dense versions of one stream of readings below the place, each naming the leaf before it.
 9. Heads: at the last epoch there were as many events and readings as are shown below it.
10. Page: what it repeats of the record is the record's, and every segment that is shown stands in it.
11. FHIR: the free texts in it are the record's, and every one that is shown stands in it once.
12. Release: an entry of the client's at or above the place, whose text names the digest of this very manifest.
13. Outside: each checkpoint that the caller kept is one of this log's, as far as the two can be compared.
14. Payload: the bytes are those that the event's entry names; the key opens them in the place of that entry.
15. Words: what opens gives the content root, and event.json repeats it exactly, with topic and time.
16. Files: each attachment that is shown has its file, with size and digest as its event tells; no other is there.

A check fails by raising a leaf of `VerificationError`; it names the entry that is at fault, or the file.

It does not prove that what was written is true. Of readings it proves number, time and order; what they were is told by
the clinic. Words of the page that repeat nothing of the record are proved only to be those that the clinic released.
Of one event it does not prove that nothing was written later that corrects it.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from ops.verifier.attached import LEFT_OUT_FILE, attached, verify_attached
from ops.verifier.bundle import (
    CLINIC,
    EVENT_FORMAT,
    EVENT_LAYOUT,
    HEADS,
    HEADS_FORMAT,
    LEFT_OUT,
    READING,
    RECORD,
    RECORD_FORMAT,
    EntriesMissing,
    Entry,
    Event,
    FilesDisagree,
    MalformedRecord,
    RecordFiles,
    WrongPlace,
    format_of,
    from_base64,
    from_id,
    from_time,
    manifest_of,
    opened,
    shaped,
    shared_root,
)
from ops.verifier.event import EventVerifier
from ops.verifier.fhir import verify_fhir
from ops.verifier.log import ProvedLog
from ops.verifier.pages import verify_page
from ops.verifier.run import BundleVerifier
from ops.verify import (
    ACCESS,
    EVENT,
    HASH_BYTES,
    HEAD,
    ZEROS_32,
    BrokenChain,
    Genesis,
    Incomplete,
    Policy,
    Report,
    VerificationError,
    WrongHeads,
    failed,
    read_outside,
    run_command,
    strict_json,
)


class Told(NamedTuple):
    """An event of the record beside the reasons for which parts of it are withheld."""

    event: Event
    withheld: list[str]


class RecordVerifier(BundleVerifier):
    """One run over the bundle of a whole record."""

    def __init__(self, path: Path, policy: Policy) -> None:
        super().__init__(path, policy, ("events", "readings", "withheld"))
        self.at = 0

    def run(self) -> None:
        """Take every step of the plan that is of a whole record.

        Raises:
            VerificationError: at the first that fails.
        """
        files = RecordFiles(self._path)
        manifest = manifest_of(files)
        log = self._prove(files)
        record = read_record(files, manifest, log.genesis)
        client = from_id(record["client_id"], "record.json")
        self.at = record["at"]
        events, chain = self._events(record, log, client)
        readings = self._readings(record, log)
        self._left_out(record, events)
        # [16] what was attached
        verify_attached(manifest["files"], (told.event for told in events.values() if not told.withheld))
        self._heads(files, log, (chain, readings))
        shown = {version: told.event for version, told in events.items()}
        # [10] the page
        verify_page(files.read("record.html"), "record.html", shown)
        # [11] FHIR
        try:
            verify_fhir(strict_json(files.read("fhir.json")), "fhir.json", shown)
        except ValueError as error:
            raise MalformedRecord(f"fhir.json cannot be read: {error}.") from error
        release = self._release(files, log, chain[-1], self.at)
        self._between(chain[-1], release)
        # [5] nothing else was slipped in among the entries
        wanted = {turn.index for turn in log.turns} | {each.index for each in (*chain, *readings)} | {release.index}
        for index in sorted(log.entries.keys() - wanted):
            raise WrongPlace(f"Entry {index} is in proof/log.json and is none of this record.", index)
        as_of = from_time(record["as_of"], "record.json")
        known = (entry.at_us for entry in log.entries.values() if entry.index < self.at)
        if not max(known) <= as_of <= release.at_us:
            raise FilesDisagree("record.json says that it is of another time than its entries are.")
        self._judge_outside(log)

    def shown(self) -> str:
        """Return what is proved."""
        said = f"The {self.counts['events']} events and {self.counts['readings']} readings that are shown"
        return f"{said} are those that were signed, and none below entry {self.complete_below} is missing"

    def _events(self, record: dict[str, Any], log: ProvedLog, client: bytes) -> tuple[dict[int, Told], list[Entry]]:
        chain: list[Entry] = []
        events: dict[int, Told] = {}
        for told in record["events"]:
            told = shaped(told, EVENT_LAYOUT, "An event of record.json")
            # [7] in its place
            entry = self._next(log, told, chain, client, EVENT)
            index, where = entry.index, f"Event {entry.version} of record.json"
            # [7] the segments; an event that could not be opened has none
            event, withheld = (
                opened(told["segments"], entry, where) if told["segments"] else (Event(index, None, {}), ["unreadable"])
            )
            header = event.header or {}
            # [7] topic and time are the header's and the entry's
            if event.header is not None and header.get("topic") != told["topic"]:
                raise FilesDisagree(f"{where} has another topic than its header.", index)
            known = header.get("originally_recorded_at")
            at_us = entry.at_us if known is None else from_time(known, where, index)
            if from_time(told["recorded_at"], where, index) != at_us:
                raise WrongPlace(f"{where} was recorded at another time than it says.", index)
            events[entry.version] = Told(event, withheld)
        self.counts["events"] = len(chain)
        if not chain:
            raise Incomplete("record.json holds no event.")
        return events, chain

    def _readings(self, record: dict[str, Any], log: ProvedLog) -> list[Entry]:
        chain: list[Entry] = []
        for told in record["readings"]:
            told = shaped(told, READING, "A reading of record.json")
            # [8] in its place, all of one stream
            first = log.entries.get(told["index"]) if not chain else chain[0]
            self._next(log, told, chain, None if first is None else first.stream, ACCESS)
        self.counts["readings"] = len(chain)
        if not chain:
            self.warnings.append("No reading is shown; without one it cannot be shown that there was none.")
        return chain

    def _next(self, log: ProvedLog, told: dict[str, Any], chain: list[Entry], stream: bytes | None, kind: int) -> Entry:
        """Return the entry of the next event or reading, when it follows in its stream below the place."""
        index, version = told["index"], told["version"]
        entry = log.entries.get(index)
        if entry is None:
            raise Incomplete(f"Entry {index} is not in proof/log.json.", index)
        if version != len(chain) + 1:
            raise BrokenChain(f"Entry {index} is version {version}, where version {len(chain) + 1} must follow.", index)
        if (entry.kind, entry.stream, entry.version) != (kind, stream, version):
            raise WrongPlace(f"Entry {index} is of another stream, kind or version than record.json says.", index)
        if not (chain[-1].index if chain else -1) < index < self.at:
            raise WrongPlace(f"Entry {index} does not lie in its order below the place of this record.", index)
        if entry.previous != (chain[-1].leaf if chain else ZEROS_32):
            raise BrokenChain(f"Entry {index} names another entry as the one before it in its stream.", index)
        chain.append(entry)
        return entry

    def _left_out(self, record: dict[str, Any], events: dict[int, Told]) -> None:
        # [6] what is left out is counted
        counts: dict[str, int] = {}
        for event, withheld in events.values():
            for reason in withheld:
                counts[reason] = counts.get(reason, 0) + 1
            if withheld and attached(event) is not None:
                counts[LEFT_OUT_FILE] = counts.get(LEFT_OUT_FILE, 0) + 1
        told = [shaped(each, LEFT_OUT, "What record.json leaves out") for each in record["left_out"]]
        if len(told) != len(counts) or {each["reason"]: each["count"] for each in told} != counts:
            raise FilesDisagree("record.json counts other parts as left out than it leaves out.")
        self.counts["withheld"] = sum(counts.values())

    def _heads(self, files: RecordFiles, log: ProvedLog, chains: tuple[list[Entry], list[Entry]]) -> None:
        """Check that none below the last epoch is missing: step 9."""
        name = "proof/heads.json"
        heads = files.document(name, HEADS, HEADS_FORMAT)
        # [9] it is the last epoch at or below the place
        turn = log.turn_before(self.at + 1)
        if heads["index"] != turn.index:
            raise FilesDisagree(f"{name} is not of the last epoch below the place of this record.")
        if heads["places"].keys() != heads["heads"].keys():
            raise MalformedRecord(f"{name} has a place without a head.")
        found = {from_id(stream, name): version for stream, version in heads["heads"].items()}
        leaves = {}
        for stream, place in heads["places"].items():
            version = heads["heads"][stream]
            if type(place) is not int or type(version) is not int or not 0 < version < 1 << 53:
                raise MalformedRecord(f"{name} has a head that is no number.")
            leaves[place] = hashlib.sha256(HEAD.pack(UUID(stream).bytes, version)).digest()
        if len(leaves) != len(found):
            raise MalformedRecord(f"{name} has two heads in one place.")
        # [9] the epoch sealed them
        hashes = [from_base64(each, HASH_BYTES, name) for each in heads["hashes"]]
        if shared_root(heads["size"], leaves, hashes, name) != turn.body.heads_root:
            raise WrongHeads(f"The heads of {name} are not those that entry {turn.index} sealed.", turn.index)
        # [9] so many there were, and so many are shown
        for chain, what in zip(chains, ("events", "readings"), strict=True):
            below = [entry for entry in chain if entry.index < turn.index]
            stream = chain[0].stream if chain else None
            told = 0 if stream is None else found.pop(stream, 0)
            if told != len(below):
                after = below[told].index if told < len(below) else below[-1].index + 1 if below else 0
                which = f"{told} {what} were logged below entry {turn.index}"
                raise EntriesMissing(f"{which}, and {len(below)} are shown.", after)
        if found:
            raise EntriesMissing(f"{name} tells of a stream of which nothing is shown.")
        self.complete_below = turn.index

    def _between(self, last: Entry, release: Entry) -> None:
        # [12] it follows the last that is shown, or what came between is said
        index, between = release.index, release.version - last.version - 1
        if between:
            self.warnings.append(
                f"{between} events were logged after the last that is shown and before the release of entry {index}."
            )
        elif release.previous != last.leaf:
            raise BrokenChain(f"Entry {index} names another entry as the one before it in its stream.", index)


def read_record(files: RecordFiles, manifest: dict[str, Any], genesis: Genesis) -> dict[str, Any]:
    """Return record.json, when it says the same as genesis and manifest: step 6.

    Raises:
        MalformedRecord: it is not of its layout.
        FilesDisagree: they say different things.
    """
    # [6] exactly the keys of its layout
    record = files.document("record.json", RECORD, RECORD_FORMAT)
    clinic = shaped(record["clinic"], dict.fromkeys(CLINIC, str), "The clinic in record.json")
    if not all(type(name) is str for name in record["staff"].values()):
        raise MalformedRecord("record.json has a name of staff that is no text.")
    # [6] genesis and manifest
    own = (str(UUID(bytes=genesis.deployment)), genesis.origin, genesis.fingerprint)
    if (clinic["deployment_id"], clinic["origin"], clinic["fingerprint"]) != own:
        raise FilesDisagree("record.json names another log than the one of its genesis.")
    told = {key: record[key] for key in ("client_id", "at", "as_of", "left_out")}
    told |= {"events": len(record["events"]), "readings": len(record["readings"])}
    told |= {"clinic": clinic["name"], "deployment_id": clinic["deployment_id"]}
    for key, value in told.items():
        if manifest[key] != value:
            raise FilesDisagree(f"manifest.json and record.json say different things of {key}.")
    return record


def verify_record(path: Path, policy: Policy) -> Report:
    """Verify the bundle of one whole record, a folder or a zip, against what the caller knows from elsewhere.

    Raises:
        OSError: the bundle cannot be read.
    """
    return RecordVerifier(path, policy).verify()


def verify_given(path: Path, policy: Policy, outside: Sequence[Path] = ()) -> Report:
    """Verify what a clinic gave of one record: all of it, or one event, as the manifest says.

    Args:
        path: of the folder or the zip.
        policy: what is trusted.
        outside: files with checkpoints that were kept, beside those of the policy.

    Raises:
        OSError: the bundle or a file cannot be read.
    """
    try:
        policy = policy._replace(outside=(*policy.outside, *read_outside(outside)))
    except VerificationError as error:
        return failed(error)
    return EventVerifier(path, policy).verify() if _is_event(path) else verify_record(path, policy)


def _is_event(path: Path) -> bool:
    try:
        return bool(format_of(RecordFiles(path)) == EVENT_FORMAT)
    except VerificationError:
        # What cannot be opened at all is told by the run.
        return False


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(description="Verify the copy of a health record or of one entry, offline.")
    here = Path(__file__).parent
    parser.add_argument("bundle", nargs="?", default=here, type=Path, help="a folder or a zip (this one, by default)")
    return run_command(parser, verify_given, arguments)


if __name__ == "__main__":
    sys.exit(main())
