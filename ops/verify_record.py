r"""The offline verifier of one record's bundle: whether these pages are what the clinic's log holds of one client.

What must hold is CRYPTO 2 to 4 and the pages of decisions on exports and on the verifier. It is not given a log, but
entries of one with a proof, so it holds that the record is part of the log that was signed, and that its parts agree.

The plan; each step is tagged with its number where it is taken:

 0. Bundle: names stay inside, none stands twice, nothing is larger than it can be; JSON without duplicate keys, NaN or
    integers over 2^53.
 1. Manifest: it names exactly the files of the layout that are there, with their sizes and digests; `proof/` holds
    exactly what it must.
 2. Genesis: its body has the fingerprint that *the caller* gives.
 3. Epochs: each is signed by both keys of the one before (a restore by both recovery keys), and follows it; the
    checkpoint in it says the same; its body is the one that its entry names.
 4. Checkpoint: all three signatures by the keys of the newest epoch; witnesses that *the caller* names.
 5. Tree: every entry leads to the checkpoint's root by one proof of which every hash is used; their times rise.
 6. Record: exactly the keys of its layout; clinic and place are those of genesis and manifest; what is left out is
    counted.
 7. Events: dense versions of the client's stream below the place, each naming the leaf before it; time and topic are
    the entry's and the header's; the segments open the content root.
 8. Readings: dense versions of one stream of readings below the place, each naming the leaf before it.
 9. Heads: at the last epoch there were as many events and readings as are shown below it.
10. Page: what it repeats of the record is the record's, and every segment that is shown stands in it.
11. FHIR: the free texts in it are the record's, and every one that is shown stands in it once.
12. Release: an entry of the client's at or above the place, whose text names the digest of this very manifest.
13. Outside: each checkpoint that the caller kept is one of this log's, as far as the two can be compared.

A check fails by raising a leaf of `VerificationError`; it names the entry that is at fault, or the file.

It does not prove that what was written is true. Of readings it proves number, time and order; what they were is told by
the clinic. Words of the page that repeat nothing of the record are proved only to be those that the clinic released.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from ops.record_bundle import (
    CLINIC,
    EVENT_LAYOUT,
    HEADS,
    HEADS_FORMAT,
    LEFT_OUT,
    READING,
    RECORD,
    RECORD_FORMAT,
    RELEASE,
    EntriesMissing,
    Entry,
    Event,
    FilesDisagree,
    MalformedRecord,
    RecordFiles,
    WrongPlace,
    WrongRelease,
    from_base64,
    from_id,
    from_time,
    manifest_of,
    opened,
    shaped,
    shared_root,
)
from ops.record_fhir import verify_fhir
from ops.record_log import ProvedLog
from ops.record_pages import verify_page
from ops.verify import (
    ACCESS,
    EVENT,
    EXIT_INTEGRITY,
    EXIT_OK,
    HASH_BYTES,
    HEAD,
    RESTORE,
    ZEROS_32,
    BrokenChain,
    Genesis,
    Incomplete,
    Policy,
    Report,
    VerificationError,
    WrongHeads,
    failed,
    parse_fingerprint,
    parse_witness,
    read_outside,
    render,
    render_json,
    strict_json,
)

RELEASED = "disclosure.made"


class Told(NamedTuple):
    """An event of the record beside the reasons for which parts of it are withheld."""

    event: Event
    withheld: list[str]


class RecordVerifier:
    """One run over one bundle.

    Attributes:
        log: the part of the log that is proved; None until it is.
        counts: what was seen.
        warnings: what a reader must know beside the answer.
        complete_below: no event and no reading below this index is missing.
    """

    def __init__(self, path: Path, policy: Policy) -> None:
        self._path, self._policy = path, policy
        self.log: ProvedLog | None = None
        self.counts = dict.fromkeys(("events", "readings", "withheld", "entries", "epochs", "restores", "outside"), 0)
        self.warnings: list[str] = []
        self.complete_below = self.at = 0

    def run(self) -> None:
        """Take every step of the plan.

        Raises:
            VerificationError: at the first that fails.
        """
        files = RecordFiles(self._path)
        manifest = manifest_of(files)
        log = self.log = ProvedLog(files, self._policy, self.warnings)
        restores = sum(log.entries[turn.index].kind == RESTORE for turn in log.turns)
        self.counts |= {"entries": len(log.entries), "epochs": len(log.turns) - restores, "restores": restores}
        record = read_record(files, manifest, log.genesis)
        client = from_id(record["client_id"], "record.json")
        self.at = record["at"]
        events, chain = self._events(record, log, client)
        readings = self._readings(record, log)
        self._left_out(record, events)
        self._heads(files, log, (chain, readings))
        shown = {version: told.event for version, told in events.items()}
        # [10] the page
        verify_page(files.read("record.html"), "record.html", shown)
        # [11] FHIR
        try:
            verify_fhir(strict_json(files.read("fhir.json")), "fhir.json", shown)
        except ValueError as error:
            raise MalformedRecord(f"fhir.json cannot be read: {error}.") from error
        release = self._release(files, log, client, chain)
        # [5] nothing else was slipped in among the entries
        wanted = {turn.index for turn in log.turns} | {each.index for each in (*chain, *readings)} | {release.index}
        for index in sorted(log.entries.keys() - wanted):
            raise WrongPlace(f"Entry {index} is in proof/log.json and is none of this record.", index)
        as_of = from_time(record["as_of"], "record.json")
        known = (entry.at_us for entry in log.entries.values() if entry.index < self.at)
        if not max(known) <= as_of <= release.at_us:
            raise FilesDisagree("record.json says that it is of another time than its entries are.")
        # [13] outside
        for kept in self._policy.outside:
            log.judge(kept)
            self.counts["outside"] += 1

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
        for _, withheld in events.values():
            for reason in withheld:
                counts[reason] = counts.get(reason, 0) + 1
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

    def _release(self, files: RecordFiles, log: ProvedLog, client: bytes, chain: list[Entry]) -> Entry:
        told = files.document("proof/release.json", RELEASE)
        index = told["index"]
        entry = log.entries.get(index)
        # [12] an event of this client at or above the place
        if entry is None:
            raise Incomplete("The release is not in proof/log.json.")
        if (entry.kind, entry.stream) != (EVENT, client) or index < self.at or entry.version <= len(chain):
            raise WrongRelease(f"Entry {index} is no release of this record.", index)
        event, _ = opened(told["segments"], entry, "proof/release.json")
        header = event.header or {}
        if header.get("topic") != RELEASED:
            raise WrongRelease(f"Entry {index} is no release.", index)
        # [12] of this very manifest
        if header.get("manifest_sha256") != files.digest("manifest.json")[1]:
            raise WrongRelease(
                f"The release of entry {index} is of other files: this bundle was altered after it.", index
            )
        between = entry.version - len(chain) - 1
        if between:
            self.warnings.append(
                f"{between} events were logged after the last that is shown and before the release of entry {index}."
            )
        elif entry.previous != chain[-1].leaf:
            raise BrokenChain(f"Entry {index} names another entry as the one before it in its stream.", index)
        return entry

    def report(self, error: VerificationError | None) -> Report:
        """Return what was found: after `run`, or after the error that ended it."""
        log, strict = self.log, EXIT_INTEGRITY if self._policy.require_anchor else EXIT_OK
        signed_at = None if log is None else log.signed_at
        freshness = {
            "signed_size": None if log is None else log.checkpoint.size,
            "signed_at": None if signed_at is None else datetime.fromtimestamp(signed_at, UTC).isoformat(),
            "age_seconds": None if signed_at is None else max(0, self._policy.now - signed_at),
            "outside_size": None if log is None else log.anchor_size,
            "witnesses": 0 if log is None else len(log.witnessed),
            "complete_below": self.complete_below,
        }

        def answer(status: str, sentence: str, code: int, index: int | None = None) -> Report:
            return Report(status, sentence, index, self.counts, [], freshness, self.warnings, code)

        if error is not None or log is None:
            error = error or Incomplete("Nothing was verified.")
            return answer(error.status, str(error), EXIT_INTEGRITY, error.index)
        events, readings = self.counts["events"], self.counts["readings"]
        said = f"The {events} events and {readings} readings that are shown are those that were signed"
        said += f", and none below entry {self.complete_below} is missing"
        anchored = log.anchor_size is not None or bool(log.witnessed)
        if self._policy.genesis is None:
            said += ", but nobody said whose log this is: give the fingerprint of its genesis."
            return answer("unpinned", said, EXIT_INTEGRITY)
        if self.counts["restores"]:
            said += "; the log was once restored from an older copy."
            return answer("restored", said, EXIT_OK if anchored else strict)
        if not anchored:
            said += ", but no checkpoint from outside was given: a log that was set back would look the same."
            return answer("unanchored", said, strict)
        return answer("ok", f"{said}.", EXIT_OK)


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
    """Verify the bundle of one record, a folder or a zip, against what the caller knows from elsewhere.

    Raises:
        OSError: the bundle cannot be read.
    """
    verifier = RecordVerifier(path, policy)
    try:
        verifier.run()
    except VerificationError as error:
        return verifier.report(error)
    return verifier.report(None)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(description="Verify the copy of a health record, offline.")
    here = Path(__file__).parent
    parser.add_argument("bundle", nargs="?", default=here, type=Path, help="a folder or a zip (this one, by default)")
    parser.add_argument("--genesis", type=parse_fingerprint, help="the fingerprint that the clinic prints on its forms")
    parser.add_argument("--checkpoint", action="append", default=[], type=Path, help="a checkpoint kept outside")
    parser.add_argument("--witness", action="append", default=[], type=parse_witness, help="a witness's key")
    parser.add_argument("--quorum", type=int, help="how many of the witnesses must have co-signed (all by default)")
    parser.add_argument("--require-anchor", action="store_true", help="fail where nothing from outside is known")
    parser.add_argument("--json", action="store_true", help="answer for programs")
    chosen = parser.parse_args(arguments)
    quorum = len(chosen.witness) if chosen.quorum is None else chosen.quorum
    policy = Policy(chosen.genesis, (), tuple(chosen.witness), quorum, chosen.require_anchor, int(time.time()))
    try:
        report = verify_record(chosen.bundle, policy._replace(outside=read_outside(chosen.checkpoint)))
    except VerificationError as error:
        report = failed(error)
    except OSError as error:
        parser.error(f"{error.filename} cannot be read: {error.strerror}")
    sys.stdout.write(render_json(report) if chosen.json else render(report))
    return report.exit


if __name__ == "__main__":
    sys.exit(main())
