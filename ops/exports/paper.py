"""Setting a record on paper in a process that ends: `python -m ops.exports.paper`, the laid-out record in, the PDF out.

- The library keeps what it set in the memory of its process for a while. What serves a clinic must not: an erased
  client's words would stay there, and a few long records would fill it.
- Both ways go through pipes: nothing of the record touches the disk.
- What cannot be printed is answered by `Unprinted` on standard output and exit code 1.
"""

from __future__ import annotations

import subprocess
import sys

import msgspec

from projections.export.presented import Presented
from projections.export.printed import FontsLack, PrintingNotInstalled, to_pdf
from records.errors import RuleBroken

SECONDS = 120
"""A record of 1,400 pages takes about ten."""
DONE, NOT_PRINTED = 0, 1


class Unprinted(msgspec.Struct, frozen=True):
    """Why a record was not set: the rule, and a sentence without anything of the record but names of scripts."""

    rule: str
    sentence: str


def set_on_paper(presented: Presented) -> bytes:
    """Return the PDF of a record, set by another process.

    Raises:
        RuleBroken: `fonts-lack` or `pdf-not-installed`.
        CalledProcessError, TimeoutExpired: it failed, or takes too long.
    """
    done = subprocess.run(
        [sys.executable, "-m", "ops.exports.paper"],
        input=msgspec.json.encode(presented),
        stdout=subprocess.PIPE,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode == NOT_PRINTED and done.stdout[:1] == b"{":
        told = msgspec.json.decode(done.stdout, type=Unprinted)
        raise RuleBroken(told.rule, told.sentence)
    done.check_returncode()
    return done.stdout


def main() -> int:
    """Set what is on standard input; return the exit code."""
    try:
        paper = to_pdf(msgspec.json.decode(sys.stdin.buffer.read(), type=Presented))
    except (FontsLack, PrintingNotInstalled) as error:
        rule = "fonts-lack" if isinstance(error, FontsLack) else "pdf-not-installed"
        sentence = str(error)
        sys.stdout.buffer.write(msgspec.json.encode(Unprinted(rule, f"{sentence[:1].upper()}{sentence[1:]}.")))
        return NOT_PRINTED
    sys.stdout.buffer.write(paper)
    return DONE


if __name__ == "__main__":
    sys.exit(main())
