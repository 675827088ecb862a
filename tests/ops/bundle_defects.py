"""Defects of disclosed keys, of the bundle's own document and of zips; and the files of bad bundles that are kept.

`python -m tests.ops.bundle_defects` writes those to tests/golden/bad-bundles, with `expected.json` beside them.
"""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

from tests.ops import signed_defects as signed_defects
from tests.ops.defects import DEFECTS, Files, defect
from tests.ops.written_log import SmallClinic, pack, sha

CORPUS = Path(__file__).parent.parent / "golden" / "bad-bundles"

# --- disclosed keys


@defect("KeyDoesNotOpen", 9)
def disclosed_key_of_another_event(log: SmallClinic) -> Files:
    return log.files(keys=(9,)) | {"keys/9": log.event_keys[12]}


@defect("KeyDoesNotOpen", 9)
def disclosed_key_of_wrong_length(log: SmallClinic) -> Files:
    return log.files(keys=(9,)) | {"keys/9": log.event_keys[9][:-1]}


@defect("AlteredText", 18)
def text_is_not_the_one_committed_to(log: SmallClinic) -> Files:
    index = log.note("reworded before it was exported")
    log.entries[index] = log.entries[index][:125] + sha(b"the root of the true text")
    log.read_again()
    log.reading()
    return log.files(keys=(index,))


@defect("Incomplete", 9)
def key_disclosed_without_its_payload(log: SmallClinic) -> Files:
    return log.files(payloads=False, keys=(9,))


@defect("Incomplete", 6)
def key_disclosed_of_a_purged_payload(log: SmallClinic) -> Files:
    return log.files(keys=(6,))


@defect("ReadingUnlogged", 18)
def disclosed_without_a_reading_after_it(log: SmallClinic) -> Files:
    index = log.note("the newest")
    return log.files(keys=(index,))


# --- the bundle itself


@defect("MalformedBundle", None)
def json_with_a_key_twice(log: SmallClinic) -> Files:
    text = log.files()["bundle.json"]
    return log.files() | {"bundle.json": text[:-1] + b', "format": "wellkept-bundle/1"}'}


@defect("MalformedBundle", None)
def json_with_nan(log: SmallClinic) -> Files:
    return log.files() | {"bundle.json": log.files()["bundle.json"][:-1] + b', "n": NaN}'}


@defect("MalformedBundle", None)
def json_with_an_integer_over_2_to_the_53(log: SmallClinic) -> Files:
    return log.files() | {"bundle.json": log.files()["bundle.json"][:-1] + b', "n": 9007199254740993}'}


@defect("MalformedBundle", None)
def json_nested_too_deep(log: SmallClinic) -> Files:
    deep = b"[" * 100_000 + b"]" * 100_000
    return log.files() | {"bundle.json": log.files()["bundle.json"][:-1] + b', "n": ' + deep + b"}"}


@defect("MalformedBundle", None)
def json_that_is_no_object(log: SmallClinic) -> Files:
    return log.files() | {"bundle.json": b"[]"}


@defect("MalformedBundle", None)
def bundle_of_another_format(log: SmallClinic) -> Files:
    return log.files() | {"bundle.json": log.files()["bundle.json"].replace(b"bundle/1", b"bundle/2")}


@defect("MalformedBundle", None)
def bundle_names_another_log(log: SmallClinic) -> Files:
    return log.files() | {"bundle.json": log.files()["bundle.json"].replace(b"/log/", b"/log/0")}


@defect("Incomplete", None)
def bundle_without_its_json(log: SmallClinic) -> Files:
    files = log.files()
    del files["bundle.json"]
    return files


KEPT = [
    each for each in DEFECTS if each.leaf.startswith("Malformed") or each.leaf in ("Incomplete", "SignatureMissing")
]
"""Those whose files are kept: what no parser may pass. The others need a log that is signed anew."""


def write_corpus() -> None:
    """Write each defect, and those that only a zip can have, with what must be said of them."""
    CORPUS.mkdir(parents=True, exist_ok=True)
    log = SmallClinic()
    expected: dict[str, object] = {"genesis": log.fingerprint}
    for name, leaf, index, make in KEPT:
        pack(make(log.copy()), CORPUS / f"{name}.zip")
        expected[name] = {"leaf": leaf, "first_bad_index": index}
    for name, change in ZIP_DEFECTS.items():
        change(pack(log.files(), CORPUS / f"{name}.zip"))
        expected[name] = {"leaf": "MalformedBundle", "first_bad_index": None}
    (CORPUS / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


def _add(name: str, data: bytes, *, link: bool = False) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        info = zipfile.ZipInfo(name)
        info.compress_type = zipfile.ZIP_DEFLATED
        if link:
            info.create_system, info.external_attr = 3, 0o120777 << 16
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(info, data)

    return change


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _damage(path: Path) -> None:
    """Alter packed bytes of the checkpoint, which the zip's own sum then finds."""
    with zipfile.ZipFile(path) as archive:
        at = archive.getinfo("checkpoint").header_offset + 200
    data = path.read_bytes()
    path.write_bytes(data[:at] + bytes(8) + data[at + 8 :])


ZIP_DEFECTS: dict[str, Callable[[Path], None]] = {
    "zip-name-that-leads-out": _add("../escaped", b"x"),
    "zip-name-that-is-absolute": _add("/etc/escaped", b"x"),
    "zip-name-with-a-backslash": _add("payloads\\9", b"x"),
    "zip-name-twice": _add("keys/9", b"x" * 32),
    "zip-with-a-link": _add("checkpoints/9", b"/etc/passwd", link=True),
    "zip-bomb": _add("checkpoints/9", bytes(1 << 20)),
    "zip-cut-short": _cut,
    "zip-damaged": _damage,
}
_twice = ZIP_DEFECTS["zip-name-twice"]


def _add_twice(path: Path) -> None:
    _twice(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # zipfile warns of what is meant here
        _twice(path)


ZIP_DEFECTS["zip-name-twice"] = _add_twice


if __name__ == "__main__":
    write_corpus()
