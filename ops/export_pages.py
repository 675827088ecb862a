"""The pages of every bundle, and the verifier that lies in it: which file is made by what.

- A new page is one line here, and one in the README of the bundle.
"""

from __future__ import annotations

from pathlib import Path

from projections.export.bundle import Writer

PAGES: dict[str, Writer] = {}


def verifier_text() -> bytes:
    return Path(__file__).with_name("verify.py").read_bytes()


def to_pdf(record) -> bytes:
    raise NotImplementedError
