"""The corpus of bad files: each is one good file with one defect, and gives exactly one named leaf.

`tests/golden/bad/<what>/<defect>.<leaf>`: `what` says how it is read, `defect` what is wrong with it, `leaf` which
error it must give. Beside them, `good.<what>` is the file that they were made from, and `keys.json` holds what must be
trusted.

- A file here is never changed and never deleted: other verifiers are held against the same bytes.
- `python -m tests.bad_files --write-missing` writes those that are not there yet, and touches no other. The
  post-quantum signatures are randomised, so every bad file is made from the good one that lies there.
- Proofs are text of ours, one value a line: `inclusion <index> <size>` or `consistency <old size> <new size>`, then
  leaf hash and root, or old root and new root, then the hashes of the proof, all in hex.
- A request is judged by a witness that last signed size 3 of the same log.
- A tile of hashes or entries is read as a full one; a `path` holds a path and no newline.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from records.checkpoint import WitnessKey, cosign, log_verifier, verify_checkpoint, verify_cosignature
from records.epoch import decode, encode, verify_epoch
from records.errors import BadProof
from records.merkle import check_consistency, consistency_proof, inclusion_proof, root_at, root_from_inclusion
from records.signed_note import encode_line, encode_note, encode_vkey, parse_note, parse_vkey
from records.tiles import TileHashes, decode_entries, encode_entries, parse_entries_path, parse_tile_path
from records.witness import TreeHead, encode_request, judge, parse_request
from tests import signed_log
from tests.signed_log import AT, LOG, ORIGIN, PUBLICS, RECOVERY, WITNESS

BAD = Path(__file__).parent / "golden" / "bad"
TREE_SIZE = 13

Change = Callable[[bytes], bytes]


# --- how each kind of file is read


def read_proof(data: bytes) -> None:
    """Check a proof file; raise `BadProof` where it does not hold."""
    try:
        lines = data.decode("ascii").splitlines()
        kind, first, size = lines[0].split(" ")
        one, other, *proof = (bytes.fromhex(line) for line in lines[1:])
        numbers = int(first), int(size)
        if not data.endswith(b"\n"):
            raise ValueError(data)
    except (ValueError, IndexError) as error:
        raise BadProof("a proof file that cannot be read") from error
    if kind == "consistency":
        check_consistency(numbers[0], one, numbers[1], other, proof)
    elif root_from_inclusion(one, *numbers, proof) != other:
        raise BadProof("an inclusion proof that leads to another root")


def read_tile(data: bytes) -> None:
    """Take a stored tile of hashes."""
    TileHashes(lambda _level, _n: data, lambda _start, _stop: [])(0, 0)


def read_path(data: bytes) -> None:
    """Take a path of a tile."""
    path = data.decode("utf-8", "replace")
    if path.startswith("tile/entries/"):
        parse_entries_path(path)
    else:
        parse_tile_path(path)


def read_cosignature(data: bytes) -> None:
    """Check the last line of a checkpoint as the witness's."""
    note = parse_note(data)
    verify_cosignature(note, note.signatures[-1], WITNESS.verifier)


def read_request(data: bytes) -> None:
    """Judge a request as a witness that last signed size 3."""
    judge(parse_request(data), log_verifier(ORIGIN, LOG.public), TreeHead(3, signed_log.checkpoint(3).root))


READERS: dict[str, Callable[[bytes], object]] = {
    "note": parse_note,
    "vkey": lambda data: parse_vkey(data.decode()),
    "checkpoint": lambda data: verify_checkpoint(data, LOG.public, PUBLICS),
    "cosignature": read_cosignature,
    "request": read_request,
    "proof": read_proof,
    "tile": read_tile,
    "entries": decode_entries,
    "path": read_path,
    "epoch": lambda data: verify_epoch(decode(data), PUBLICS[0], LOG.public),
    "genesis": lambda data: verify_epoch(decode(data), PUBLICS[0], LOG.public),
    "restore": lambda data: verify_epoch(decode(data), RECOVERY.public, LOG.public),
}


# --- the good files


def _proofs() -> Iterator[tuple[str, bytes]]:
    hashes = signed_log.leaves(TREE_SIZE)
    tree = TileHashes(lambda _level, _n: None, lambda start, stop: hashes[start:stop])
    root = root_at(tree, TREE_SIZE)
    inclusion = [hashes[5], root, *inclusion_proof(tree, 5, TREE_SIZE)]
    consistency = [root_at(tree, 6), root, *consistency_proof(tree, 6, TREE_SIZE)]
    yield "inclusion", _lines("inclusion 5 13", *(one.hex() for one in inclusion))
    yield "consistency", _lines("consistency 6 13", *(one.hex() for one in consistency))


def _request(size: int, fork_at: int | None = None) -> bytes:
    hashes = signed_log.leaves(size, fork_at)
    tree = TileHashes(lambda _level, _n: None, lambda start, stop: hashes[start:stop])
    return encode_request(3, consistency_proof(tree, 3, size), signed_log.signed(size, fork_at=fork_at))


def _lines(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def good_files() -> dict[str, bytes]:
    """Return the good file of each kind, by its name."""
    checkpoint = signed_log.signed(7)
    note = parse_note(checkpoint)
    hashes = signed_log.leaves(256)
    proofs = dict(_proofs())
    return {
        "good.note": b"a text\n\nand more of it\n\n"
        + b"".join(encode_line(one).encode() for one in note.signatures[:2]),
        "good.vkey": encode_vkey(WITNESS.verifier).encode(),
        "good.checkpoint": checkpoint,
        "good.cosignature": checkpoint + encode_line(cosign(note, WITNESS, AT)).encode(),
        "good.request": _request(7),
        "good-inclusion.proof": proofs["inclusion"],
        "good-consistency.proof": proofs["consistency"],
        "good.tile": b"".join(hashes),
        "good.entries": encode_entries([b"entry %d" % index for index in range(256)]),
        "good.path": b"tile/0/x001/x234/067",
        "good-entries.path": b"tile/entries/x001/067.p/12",
        "good.epoch": encode(signed_log.second()),
        "good.genesis": encode(signed_log.genesis()),
        "good.restore": encode(signed_log.restore()),
    }


# --- the defects


def _swap(old: bytes, new: bytes) -> Change:
    def change(data: bytes) -> bytes:
        assert old in data, old
        return data.replace(old, new, 1)

    return change


def _line(number: int, new: Callable[[bytes], bytes | None]) -> Change:
    """Change one line, or leave it out."""

    def change(data: bytes) -> bytes:
        lines = data.splitlines(keepends=True)
        changed = new(lines[number])
        if changed is None:
            del lines[number]
        else:
            lines[number] = changed
        return b"".join(lines)

    return change


def _flip(at: int) -> Change:
    def change(data: bytes) -> bytes:
        raw = bytearray(data)
        raw[at] ^= 1
        return bytes(raw)

    return change


def _set(at: int, value: int) -> Change:
    def change(data: bytes) -> bytes:
        raw = bytearray(data)
        raw[at] = value
        return bytes(raw)

    return change


def _signed_by_another(data: bytes) -> bytes:
    note = parse_note(data)
    line = cosign(note, WitnessKey(WITNESS.name, b"o" * 32), AT)
    return encode_note(note._replace(signatures=(*note.signatures[:-1], line)))


def _of_another_time(data: bytes) -> bytes:
    note = parse_note(data)
    last = note.signatures[-1]
    later = last._replace(blob=(AT + 60).to_bytes(8, "big") + last.blob[8:])
    return encode_note(note._replace(signatures=(*note.signatures[:-1], later)))


def _from_fork(number: int) -> Change:
    """Take one signature over the same size of another history."""

    def change(data: bytes) -> bytes:
        note = parse_note(data)
        other = parse_note(signed_log.signed(7, fork_at=3)).signatures[number]
        lines = [other if n == number else line for n, line in enumerate(note.signatures)]
        return encode_note(note._replace(signatures=tuple(lines)))

    return change


def _swap_lines(one: int, other: int) -> Change:
    def change(data: bytes) -> bytes:
        lines = data.splitlines(keepends=True)
        lines[one], lines[other] = lines[other], lines[one]
        return b"".join(lines)

    return change


def _append(tail: bytes) -> Change:
    return lambda data: data + tail


def _twice(number: int) -> Change:
    return lambda data: data + data.splitlines(keepends=True)[number]


DEFECTS: dict[str, tuple[str, Change]] = {
    "note/empty.MalformedNote": ("good.note", lambda _: b""),
    "note/no-signatures.MalformedNote": ("good.note", lambda data: data[: data.rindex(b"\n\n") + 1]),
    "note/no-empty-line.MalformedNote": ("good.note", lambda data: data.replace(b"\n\n", b"\n")),
    "note/no-final-newline.MalformedNote": ("good.note", lambda data: data[:-1]),
    "note/carriage-returns.MalformedNote": ("good.note", lambda data: data.replace(b"\n", b"\r\n")),
    "note/tabulator.MalformedNote": ("good.note", _swap(b"a text", b"a\ttext")),
    "note/null-byte.MalformedNote": ("good.note", _swap(b"a text", b"a\x00text")),
    "note/not-utf-8.MalformedNote": ("good.note", _swap(b"a text", b"a\xfftext")),
    "note/hyphen-for-em-dash.MalformedNote": ("good.note", _swap("— ".encode(), b"- ")),
    "note/two-spaces.MalformedNote": ("good.note", _swap("— ".encode(), "—  ".encode())),
    "note/plus-in-name.MalformedNote": ("good.note", _swap("— w".encode(), "— +w".encode())),
    "note/wide-space-in-name.MalformedNote": ("good.note", _swap("— w".encode(), "— w\u2003".encode())),
    "note/signature-without-padding.MalformedNote": ("good.note", lambda data: data.rstrip(b"=\n") + b"\n"),
    "note/signature-in-url-alphabet.MalformedNote": (
        "good.note",
        _line(-1, lambda line: line[:-8] + b"-_-_" + line[-4:]),
    ),
    "note/signature-not-canonical.MalformedNote": ("good.note", _line(-1, lambda _: "— a AAAAAAF=\n".encode())),
    "note/key-id-alone.MalformedNote": ("good.note", _line(-1, lambda _: "— a AAAAAA==\n".encode())),
    "note/too-many-signatures.MalformedNote": ("good.note", _append("— a AAAAAAE=\n".encode() * 100)),
    "vkey/id-of-another-key.MalformedNote": ("good.vkey", _swap(b"+B", b"+C")),
    "vkey/upper-case-id.MalformedNote": (
        "good.vkey",
        lambda data: b"+".join(part.upper() if n == 1 else part for n, part in enumerate(data.split(b"+", 2))),
    ),
    "vkey/no-key.MalformedNote": ("good.vkey", lambda data: data.rpartition(b"+")[0]),
    "vkey/newline.MalformedNote": ("good.vkey", _append(b"\n")),
    "checkpoint/extension-line.MalformedCheckpoint": ("good.checkpoint", _line(2, lambda line: line + b"more\n")),
    "checkpoint/no-root.MalformedCheckpoint": ("good.checkpoint", _line(2, lambda _: None)),
    "checkpoint/size-with-leading-zero.MalformedCheckpoint": ("good.checkpoint", _swap(b"\n7\n", b"\n07\n")),
    "checkpoint/size-with-sign.MalformedCheckpoint": ("good.checkpoint", _swap(b"\n7\n", b"\n+7\n")),
    "checkpoint/size-negative.MalformedCheckpoint": ("good.checkpoint", _swap(b"\n7\n", b"\n-7\n")),
    "checkpoint/size-with-space.MalformedCheckpoint": ("good.checkpoint", _swap(b"\n7\n", b"\n7 \n")),
    "checkpoint/size-in-other-digits.MalformedCheckpoint": ("good.checkpoint", _swap(b"\n7\n", "\n٧\n".encode())),
    "checkpoint/size-over-63-bits.MalformedCheckpoint": (
        "good.checkpoint",
        _swap(b"\n7\n", b"\n9223372036854775808\n"),
    ),
    "checkpoint/root-too-short.MalformedCheckpoint": ("good.checkpoint", _line(2, lambda _: b"AAAA\n")),
    "checkpoint/root-not-base64.MalformedCheckpoint": ("good.checkpoint", _line(2, lambda line: b"!" + line[1:])),
    "checkpoint/empty-origin.MalformedCheckpoint": ("good.checkpoint", _line(0, lambda _: b"\n")),
    "checkpoint/log-key-signs-twice.MalformedCheckpoint": ("good.checkpoint", _twice(4)),
    "checkpoint/other-size.BadSignature": ("good.checkpoint", _swap(b"\n7\n", b"\n8\n")),
    "checkpoint/other-root.BadSignature": (
        "good.checkpoint",
        _line(2, lambda _: b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"),
    ),
    "checkpoint/log-signature-of-a-fork.BadSignature": ("good.checkpoint", _from_fork(0)),
    "checkpoint/epoch-signature-of-a-fork.BadSignature": ("good.checkpoint", _from_fork(1)),
    "checkpoint/post-quantum-signature-of-a-fork.BadSignature": ("good.checkpoint", _from_fork(2)),
    "checkpoint/post-quantum-signature-of-another-time.BadSignature": ("good.checkpoint", _of_another_time),
    "checkpoint/other-origin.MissingSignature": ("good.checkpoint", _line(0, lambda _: b"wellkept/log/other\n")),
    "checkpoint/no-log-signature.MissingSignature": ("good.checkpoint", _line(4, lambda _: None)),
    "checkpoint/no-epoch-signature.MissingSignature": ("good.checkpoint", _line(5, lambda _: None)),
    "checkpoint/no-post-quantum-signature.MissingSignature": ("good.checkpoint", _line(6, lambda _: None)),
    "checkpoint/signatures-in-other-order.MissingSignature": ("good.checkpoint", _swap_lines(5, 6)),
    "checkpoint/epoch-with-leading-zero.MissingSignature": (
        "good.checkpoint",
        lambda data: data.replace(b"/epoch/0 ", b"/epoch/00 "),
    ),
    "checkpoint/unknown-epoch.MissingSignature": (
        "good.checkpoint",
        lambda data: data.replace(b"/epoch/0 ", b"/epoch/9 "),
    ),
    "checkpoint/cut-short.MalformedNote": ("good.checkpoint", lambda data: data[:-40]),
    "cosignature/by-another-key.MissingSignature": ("good.cosignature", _signed_by_another),
    "cosignature/not-there.MissingSignature": ("good.cosignature", _line(-1, lambda _: None)),
    "cosignature/of-another-time.BadSignature": ("good.cosignature", _of_another_time),
    "cosignature/of-another-tree.BadSignature": ("good.cosignature", _swap(b"\n7\n", b"\n8\n")),
    "request/empty.MalformedRequest": ("good.request", lambda _: b""),
    "request/no-checkpoint.MalformedRequest": ("good.request", lambda data: data[: data.index(b"\n\n") + 1]),
    "request/no-old-size.MalformedRequest": ("good.request", _line(0, lambda _: None)),
    "request/old-size-with-leading-zero.MalformedRequest": ("good.request", _swap(b"old 3", b"old 03")),
    "request/old-size-above-the-new.MalformedRequest": ("good.request", _swap(b"old 3", b"old 8")),
    "request/hash-too-short.MalformedRequest": ("good.request", _line(1, lambda _: b"AAAA\n")),
    "request/too-many-hashes.MalformedRequest": ("good.request", _line(1, lambda line: line * 64)),
    "request/proof-too-short.BadProof": ("good.request", _line(1, lambda _: None)),
    "request/history-of-a-fork.BadProof": ("good.request", lambda _: _request(7, fork_at=2)),
    "request/another-root-at-the-size-last-signed.ForkedLog": ("good.request", lambda _: _request(3, fork_at=2)),
    "request/log-signature-left-out.MissingSignature": (
        "good.request",
        lambda data: b"".join(
            line for line in data.splitlines(keepends=True) if not line.startswith(f"— {ORIGIN} ".encode())
        ),
    ),
    "request/log-signature-of-another-size.BadSignature": ("good.request", _swap(b"\n7\n", b"\n8\n")),
    "proof/inclusion-hash-altered.BadProof": (
        "good-inclusion.proof",
        _line(3, lambda line: (b"1" if line[:1] == b"0" else b"0") + line[1:]),
    ),
    "proof/inclusion-too-short.BadProof": ("good-inclusion.proof", _line(-1, lambda _: None)),
    "proof/inclusion-too-long.BadProof": ("good-inclusion.proof", _twice(-1)),
    "proof/inclusion-in-other-order.BadProof": ("good-inclusion.proof", _swap_lines(3, 4)),
    "proof/inclusion-of-another-leaf.BadProof": ("good-inclusion.proof", _swap(b" 5 13", b" 4 13")),
    "proof/inclusion-outside-the-tree.BadProof": ("good-inclusion.proof", _swap(b" 5 13", b" 13 13")),
    "proof/inclusion-hash-too-short.BadProof": ("good-inclusion.proof", _line(3, lambda line: line[2:])),
    "proof/consistency-hash-altered.BadProof": (
        "good-consistency.proof",
        _line(3, lambda line: (b"1" if line[:1] == b"0" else b"0") + line[1:]),
    ),
    "proof/consistency-too-short.BadProof": ("good-consistency.proof", _line(-1, lambda _: None)),
    "proof/consistency-too-long.BadProof": ("good-consistency.proof", _twice(-1)),
    "proof/consistency-of-nothing.BadProof": (
        "good-consistency.proof",
        lambda data: b"".join(data.splitlines(keepends=True)[:3]),
    ),
    "proof/consistency-from-larger-to-smaller.BadProof": ("good-consistency.proof", _swap(b" 6 13", b" 13 6")),
    "proof/consistency-from-empty-tree-with-hashes.BadProof": ("good-consistency.proof", _swap(b" 6 13", b" 0 13")),
    "proof/consistency-between-equal-sizes.BadProof": ("good-consistency.proof", _swap(b" 6 13", b" 13 13")),
    "tile/one-byte-too-few.MalformedTile": ("good.tile", lambda data: data[:-1]),
    "tile/one-hash-too-few.MalformedTile": ("good.tile", lambda data: data[:-32]),
    "tile/one-hash-too-many.MalformedTile": ("good.tile", lambda data: data + data[:32]),
    "tile/empty.MalformedTile": ("good.tile", lambda _: b""),
    "entries/cut-short.MalformedTile": ("good.entries", lambda data: data[:-1]),
    "entries/trailing-byte.MalformedTile": ("good.entries", _append(b"\x00")),
    "entries/one-too-few.MalformedTile": ("good.entries", lambda data: data[: data.rindex(b"entry 255") - 2]),
    "entries/one-too-many.MalformedTile": ("good.entries", _append(b"\x00\x01x")),
    "entries/length-beyond-the-end.MalformedTile": ("good.entries", lambda data: b"\xff" + data[1:]),
    "path/number-without-groups.MalformedTile": ("good.path", lambda _: b"tile/0/1234067"),
    "path/group-without-x.MalformedTile": ("good.path", _swap(b"x001", b"001")),
    "path/leading-group-of-zeros.MalformedTile": ("good.path", _swap(b"x001", b"x000/x001")),
    "path/level-with-leading-zero.MalformedTile": ("good.path", _swap(b"tile/0", b"tile/00")),
    "path/level-64.MalformedTile": ("good.path", _swap(b"tile/0", b"tile/64")),
    "path/width-0.MalformedTile": ("good.path", _append(b".p/0")),
    "path/width-256.MalformedTile": ("good.path", _append(b".p/256")),
    "path/width-with-leading-zero.MalformedTile": ("good.path", _append(b".p/012")),
    "path/newline.MalformedTile": ("good.path", _append(b"\n")),
    "path/dots.MalformedTile": ("good.path", _swap(b"x001", b"..")),
    "path/entries-with-level.MalformedTile": ("good-entries.path", _swap(b"entries/", b"entries/0/")),
    "epoch/magic-of-another-version.MalformedEpoch": ("good.epoch", _swap(b"WKEPOCH\x01", b"WKEPOCH\x02")),
    "epoch/cut-short.MalformedEpoch": ("good.epoch", lambda data: data[:-1]),
    "epoch/trailing-byte.MalformedEpoch": ("good.epoch", _append(b"\x00")),
    "epoch/number-0-that-is-not-genesis.MalformedEpoch": ("good.epoch", _flip(27)),
    "epoch/genesis-flag-of-2.MalformedEpoch": ("good.epoch", _set(-(1 + 2 + 64 + 2 + 2420), 2)),
    "epoch/key-of-wrong-length.MalformedEpoch": ("good.epoch", _swap(b"\x00\x20", b"\x00\x21")),
    "epoch/unsigned.MalformedEpoch": ("good.epoch", lambda data: data[: -(2 + 64 + 2 + 2420)]),
    "epoch/other-root.BadSignature": ("good.epoch", _flip(40)),
    "epoch/other-heads-root.BadSignature": ("good.epoch", _flip(70)),
    "epoch/other-clinic.BadSignature": ("good.epoch", _flip(10)),
    "epoch/other-next-key.BadSignature": (
        "good.epoch",
        lambda data: data.replace(PUBLICS[1].ed25519, PUBLICS[2].ed25519),
    ),
    "epoch/first-signature-altered.BadSignature": ("good.epoch", _flip(-(2420 + 2 + 10))),
    "epoch/second-signature-altered.BadSignature": ("good.epoch", _flip(-10)),
    "genesis/recovery-key-altered.BadSignature": ("good.genesis", _flip(-(2420 + 2 + 64 + 2 + 10))),
    "genesis/log-key-left-out.MalformedEpoch": ("good.genesis", _swap(b"\x00\x20" + LOG.public, b"")),
    "restore/magic-of-an-epoch.MalformedEpoch": ("good.restore", _swap(b"WKRESTORE\x01", b"WKEPOCH\x01")),
    "restore/with-a-checkpoint.MalformedEpoch": (
        "good.restore",
        lambda data: data[:102] + b"\x00\x00\x00\x01x" + data[106:],
    ),
    "restore/other-known-size.BadSignature": (
        "good.restore",
        _flip(-(2420 + 2 + 64 + 2 + 1)),
    ),
}


def write_missing() -> list[Path]:
    """Write the files of the corpus that are not there; return them. Existing files are never touched."""
    written = []

    def write(name: str, data: bytes) -> None:
        path = BAD / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            written.append(path)

    for name, data in good_files().items():
        write(name, data)
    keys = {
        "log": encode_vkey(log_verifier(ORIGIN, LOG.public)),
        "witness": encode_vkey(WITNESS.verifier),
        "epochs": {
            str(n): {"ed25519": keys.ed25519.hex(), "ml_dsa_44": keys.ml_dsa_44.hex()} for n, keys in PUBLICS.items()
        },
        "recovery": {"ed25519": RECOVERY.public.ed25519.hex(), "ml_dsa_44": RECOVERY.public.ml_dsa_44.hex()},
    }
    write("keys.json", json.dumps(keys, indent=1).encode() + b"\n")
    for name, (good, change) in DEFECTS.items():
        write(name, change((BAD / good).read_bytes()))
    return written


if __name__ == "__main__":
    if sys.argv[1:] != ["--write-missing"]:
        sys.exit("say --write-missing to write the files that are not there")
    sys.stdout.writelines(f"{path.relative_to(BAD)}\n" for path in write_missing())
