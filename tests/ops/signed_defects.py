"""Defects of genesis, epochs, restores and checkpoints, each with the answer that it must get (see `defects`)."""

from __future__ import annotations

import struct
from collections.abc import Callable

from tests.ops.defects import Files, defect, flipped
from tests.ops.written_log import NOTHING, Pair, SmallClinic, sha, tree

FORGER = Pair(b"forger")

# --- genesis, epochs and restores


@defect("WrongGenesis", 0)
def genesis_of_a_forger(log: SmallClinic) -> Files:
    return SmallClinic("forger").files()


@defect("WrongGenesis", 0)
def genesis_missing(log: SmallClinic) -> Files:
    log.entries = log.entries[1:]
    return log.files(payloads=False)


@defect("WrongEpoch", 18)
def genesis_twice(log: SmallClinic) -> Files:
    body = log.bodies[0]
    log.bodies[18] = body
    log.enter(5, log.deployment.bytes, 2, log.last_turn, bytes(16), 0, len(body), sha(body))
    return log.files()


@defect("WrongRoot", 0)
def sealed_epoch_rewritten_and_signed_again(log: SmallClinic) -> Files:
    entries, body = log.entries, log.bodies[11]
    again = log.copy(9)
    again.note("not what was written")
    again.reading()
    again.entries.append(entries[11])
    again.bodies[11] = body
    again.read_again()
    again.reading()
    return again.files()


@defect("BadSignature", 18)
def epoch_forged_from_a_public_checkpoint(log: SmallClinic) -> Files:
    log.turn(signer=FORGER)
    return log.files()


@defect("BadSignature", 18)
def epoch_signed_by_the_classic_key_alone(log: SmallClinic) -> Files:
    half = Pair(b"half")
    half.classic = log.pair(1).classic
    log.turn(signer=half)
    return log.files()


@defect("BadSignature", 18)
def epoch_signed_by_the_quantum_key_alone(log: SmallClinic) -> Files:
    half = Pair(b"half")
    half.quantum = log.pair(1).quantum
    log.turn(signer=half)
    return log.files()


@defect("BadSignature", 18)
def restore_declared_without_the_recovery_key(log: SmallClinic) -> Files:
    log.turn(restore=30, signer=log.pair(1))
    return log.files()


@defect("WrongEpoch", 18)
def epoch_number_left_out(log: SmallClinic) -> Files:
    log.epoch = 2
    log.turn(signer=log.pair(1))
    return log.files()


@defect("WrongEpoch", 18)
def epoch_names_another_one_before(log: SmallClinic) -> Files:
    log.last_turn = NOTHING
    log.turn()
    return log.files()


@defect("WrongEpoch", 19)
def epoch_of_another_size(log: SmallClinic) -> Files:
    early = log.copy()
    early.turn()
    log.reading()
    body = early.bodies[18]
    log.bodies[19] = body
    log.enter(5, log.deployment.bytes, 2, log.last_turn, bytes(16), 0, len(body), sha(body))
    return log.files()


@defect("WrongRoot", 11)
def epoch_seals_another_root(log: SmallClinic) -> Files:
    other = log.copy(17)
    other.note("another history")
    other.turn()
    body = other.bodies[18]
    log.bodies[18] = body
    log.enter(5, log.deployment.bytes, 2, log.last_turn, bytes(16), 0, len(body), sha(body))
    return log.files()


@defect("WrongHeads", 18)
def epoch_counts_other_versions(log: SmallClinic) -> Files:
    log.heads[log.ann_readings] = (2, NOTHING)
    log.turn()
    return log.files()


@defect("SignatureMissing", None)
def checkpoint_within_an_epoch_is_unsigned(log: SmallClinic) -> Files:
    log.turn(checkpoint=b"\n".join(log.checkpoint().split(b"\n")[:5]) + b"\n")
    return log.files()


@defect("WrongEpoch", 18)
def checkpoint_within_an_epoch_is_older(log: SmallClinic) -> Files:
    log.turn(checkpoint=log.checkpoint(17))
    return log.files()


@defect("Incomplete", 11)
def body_missing(log: SmallClinic) -> Files:
    files = log.files()
    del files["bodies/11"]
    return files


@defect("MalformedBody", 11)
def body_altered(log: SmallClinic) -> Files:
    files = log.files()
    return files | {"bodies/11": flipped(files["bodies/11"])}


def _with_body(log: SmallClinic, change: Callable[[bytes], bytes], kind: int = 5) -> Files:
    log.turn(restore=None if kind == 5 else 30)
    body = change(log.bodies[18])
    log.bodies[18] = body
    entry = log.entries[18]
    log.entries[18] = entry[:89] + struct.pack(">I", len(body)) + sha(body) + entry[125:]
    return log.files()


@defect("MalformedBody", 18)
def body_with_bytes_left_over(log: SmallClinic) -> Files:
    return _with_body(log, lambda body: body + b"\0")


@defect("MalformedBody", 18)
def body_cut_short(log: SmallClinic) -> Files:
    return _with_body(log, lambda body: body[:-1])


@defect("MalformedBody", 18)
def body_of_another_format(log: SmallClinic) -> Files:
    return _with_body(log, lambda body: b"WKEPOCH\2" + body[8:])


@defect("MalformedBody", 18)
def restore_in_the_words_of_an_epoch(log: SmallClinic) -> Files:
    return _with_body(log, lambda body: b"WKEPOCH\1" + body[10:], kind=7)


# --- checkpoints


def _with_checkpoint(log: SmallClinic, change: Callable[[bytes], bytes]) -> Files:
    files = log.files()
    return files | {"checkpoint": change(files["checkpoint"])}


def _without_line(note: bytes, number: int) -> bytes:
    lines = note.split(b"\n")
    del lines[4 + number]
    return b"\n".join(lines)


@defect("SignatureMissing", None)
def signature_of_the_log_key_stripped(log: SmallClinic) -> Files:
    return _with_checkpoint(log, lambda note: _without_line(note, 0))


@defect("SignatureMissing", None)
def classic_signature_of_the_epoch_stripped(log: SmallClinic) -> Files:
    return _with_checkpoint(log, lambda note: _without_line(note, 1))


@defect("SignatureMissing", None)
def quantum_signature_of_the_epoch_stripped(log: SmallClinic) -> Files:
    return _with_checkpoint(log, lambda note: _without_line(note, 2))


@defect("BadSignature", None)
def checkpoint_signed_by_a_forger(log: SmallClinic) -> Files:
    return log.files() | {"checkpoint": log.checkpoint(pair=FORGER)}


@defect("SignatureMissing", None)
def checkpoint_signed_by_the_epoch_before(log: SmallClinic) -> Files:
    return log.files() | {"checkpoint": log.checkpoint(epoch=0)}


@defect("BadSignature", None)
def checkpoint_signed_with_another_log_key(log: SmallClinic) -> Files:
    log.log_key = FORGER.classic
    return log.files()


@defect("BadSignature", None)
def log_signature_of_another_checkpoint(log: SmallClinic) -> Files:
    other = log.checkpoint(17).split(b"\n")
    return _with_checkpoint(log, lambda note: b"\n".join([*note.split(b"\n")[:4], other[4], *note.split(b"\n")[5:]]))


@defect("BadSignature", None)
def classic_signature_of_another_checkpoint(log: SmallClinic) -> Files:
    other = log.checkpoint(17).split(b"\n")
    return _with_checkpoint(log, lambda note: b"\n".join([*note.split(b"\n")[:5], other[5], *note.split(b"\n")[6:]]))


@defect("BadSignature", None)
def quantum_signature_of_another_checkpoint(log: SmallClinic) -> Files:
    other = log.checkpoint(17).split(b"\n")
    return _with_checkpoint(log, lambda note: b"\n".join([*note.split(b"\n")[:6], other[6], b""]))


@defect("WrongRoot", 11)
def signed_root_of_another_history(log: SmallClinic) -> Files:
    return log.files() | {"checkpoint": log.checkpoint(root=tree([NOTHING]))}


@defect("WrongRoot", 0)
def older_checkpoint_of_another_history(log: SmallClinic) -> Files:
    return log.files() | {"checkpoints/9": log.checkpoint(9, root=NOTHING)}


@defect("RolledBack", 18)
def older_checkpoint_is_newer(log: SmallClinic) -> Files:
    newer = log.copy()
    newer.reading()
    return log.files() | {"checkpoints/19": newer.checkpoint()}


@defect("MalformedCheckpoint", None)
def checkpoint_with_an_extension_line(log: SmallClinic) -> Files:
    return _with_checkpoint(log, lambda note: note.replace(b"=\n\n", b"=\nextension\n\n", 1))


@defect("MalformedCheckpoint", None)
def checkpoint_size_with_a_leading_zero(log: SmallClinic) -> Files:
    return _with_checkpoint(log, lambda note: note.replace(b"\n18\n", b"\n018\n", 1))


@defect("MalformedCheckpoint", None)
def checkpoint_root_of_wrong_length(log: SmallClinic) -> Files:
    return log.files() | {"checkpoint": log.checkpoint(root=b"short")}


@defect("MalformedNote", None)
def checkpoint_root_written_in_another_way(log: SmallClinic) -> Files:
    def change(note: bytes) -> bytes:
        lines = note.split(b"\n")
        alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        last = lines[2][-2]
        lines[2] = lines[2][:-2] + alphabet[alphabet.index(last) + 1 :][:1] + b"="
        return b"\n".join(lines)

    return _with_checkpoint(log, change)


@defect("MalformedNote", None)
def checkpoint_with_carriage_returns(log: SmallClinic) -> Files:
    return _with_checkpoint(log, lambda note: note.replace(b"\n", b"\r\n"))


@defect("MalformedNote", None)
def checkpoint_without_its_last_newline(log: SmallClinic) -> Files:
    return _with_checkpoint(log, lambda note: note[:-1])


@defect("MalformedNote", None)
def checkpoint_that_is_not_utf_8(log: SmallClinic) -> Files:
    return _with_checkpoint(log, lambda note: note.replace(b"wellkept", b"wellkep\xff", 1))


@defect("MalformedNote", None)
def checkpoint_with_too_many_signatures(log: SmallClinic) -> Files:
    return _with_checkpoint(
        log, lambda note: note + "".join(f"— w{number} AAAAAAA=\n" for number in range(30)).encode()
    )


@defect("MalformedNote", None)
def checkpoint_signed_twice_by_one_key(log: SmallClinic) -> Files:
    return _with_checkpoint(log, lambda note: note + note.split(b"\n")[4] + b"\n")


@defect("MalformedNote", None)
def checkpoint_with_a_line_that_is_no_signature(log: SmallClinic) -> Files:
    return _with_checkpoint(log, lambda note: note + b"- w AAAAAAA=\n")


@defect("MalformedBundle", None)
def checkpoint_too_large(log: SmallClinic) -> Files:
    return _with_checkpoint(log, lambda note: note + bytes(range(32, 127)) * 800)


@defect("Incomplete", None)
def checkpoint_missing(log: SmallClinic) -> Files:
    files = log.files()
    del files["checkpoint"]
    return files
