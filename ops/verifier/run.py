"""What a check of a whole record and one of a single event have in common: the release, and the answer.

Source: the decisions on exports and on disclosing one entry.

- Both bundles are given by a disclosure that names the digest of their manifest, so what was altered after it is seen.
- Both end with one answer. Without a fingerprint from elsewhere it is never a good one.

Its steps are those of the plan of `ops.verifier.record`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import UTC, datetime
from pathlib import Path

from ops.verifier.bundle import RELEASE, Entry, RecordFiles, WrongRelease, opened
from ops.verifier.log import ProvedLog
from ops.verify import EVENT, EXIT_INTEGRITY, EXIT_OK, RESTORE, Incomplete, Policy, Report, VerificationError

RELEASED = "disclosure.made"


class BundleVerifier(ABC):
    """One run over one bundle.

    Attributes:
        log: the part of the log that is proved; None until it is.
        counts: what was seen.
        warnings: what a reader must know beside the answer.
        complete_below: no event and no reading below this index is missing; None where nothing is said of that.
    """

    def __init__(self, path: Path, policy: Policy, counts: tuple[str, ...]) -> None:
        self._path, self._policy = path, policy
        self.log: ProvedLog | None = None
        self.counts = dict.fromkeys((*counts, "entries", "epochs", "restores", "outside"), 0)
        self.warnings: list[str] = []
        self.complete_below: int | None = None

    @abstractmethod
    def run(self) -> None:
        """Take every step of the plan.

        Raises:
            VerificationError: at the first that fails.
        """

    @abstractmethod
    def shown(self) -> str:
        """Return what is proved where every step was taken, as a sentence without its end."""

    def verify(self) -> Report:
        """Return the answer: of the whole run, or of the step that failed."""
        try:
            self.run()
        except VerificationError as error:
            return self.report(error)
        return self.report(None)

    def _prove(self, files: RecordFiles) -> ProvedLog:
        log = self.log = ProvedLog(files, self._policy, self.warnings)
        restores = sum(log.entries[turn.index].kind == RESTORE for turn in log.turns)
        self.counts |= {"entries": len(log.entries), "epochs": len(log.turns) - restores, "restores": restores}
        return log

    def _release(self, files: RecordFiles, log: ProvedLog, last: Entry, at: int) -> Entry:
        """Return the entry of the release, when it comes after the last that is shown, at or above a place: step 12."""
        told = files.document("proof/release.json", RELEASE)
        index = told["index"]
        entry = log.entries.get(index)
        # [12] an event of this client at or above the place
        if entry is None:
            raise Incomplete("The release is not in proof/log.json.")
        if (entry.kind, entry.stream) != (EVENT, last.stream) or index < at or entry.version <= last.version:
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
        return entry

    def _judge_outside(self, log: ProvedLog) -> None:
        # [13] outside
        for kept in self._policy.outside:
            log.judge(kept)
            self.counts["outside"] += 1

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
        said = self.shown()
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
