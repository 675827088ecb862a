"""A signed note has one form: what others published is read, and nothing is read that would be written otherwise."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from records.checkpoint import check_ed25519
from records.errors import BadSignature, MalformedNote
from records.signed_note import (
    COSIGNATURE_V1,
    ED25519,
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    Note,
    SignatureLine,
    VerifierKey,
    encode_line,
    encode_note,
    encode_vkey,
    key_id,
    parse_line,
    parse_note,
    parse_vkey,
)

GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
"""The example of golang.org/x/mod/sumdb/note, where the format comes from, with its key."""
C2SP_NOTE = (
    "Ognuno sta solo sul cuor della terra\n"
    "trafitto da un raggio di sole:\n"
    "\n"
    "ed è subito sera.\n"
    "\n"
    "— quasimodo.example/salvatore "
    "NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n"
)
"""The example of C2SP signed-note, whose text has an empty line; its key is not published."""

NAMES = st.text(st.characters(exclude_categories=("Z", "Cc", "Cs"), exclude_characters="+"), min_size=1, max_size=20)
LINES = st.builds(SignatureLine, NAMES, st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=80))
TEXTS = st.lists(st.text(st.characters(exclude_categories=("Cc", "Cs"))), min_size=1, max_size=5).map(
    lambda lines: "".join(f"{line}\n" for line in lines)
)
NOTES = st.builds(Note, TEXTS, st.lists(LINES, min_size=1, max_size=5).map(tuple))
LINE = SignatureLine("log", b"\x01\x02\x03\x04", b"\x05")


def test_the_published_note_is_read_and_its_signature_holds() -> None:
    note, key = parse_note(GO_NOTE.encode()), parse_vkey(GO_VKEY)
    (line,) = note.signatures

    assert (line.name, line.key_id) == (key.name, key.key_id)
    check_ed25519(key.public_key, note.text.encode(), line.blob)
    with pytest.raises(BadSignature):
        check_ed25519(key.public_key, note.text.encode() + b"\n", line.blob)
    assert encode_note(note) == GO_NOTE.encode()
    assert encode_vkey(key) == GO_VKEY


def test_a_text_may_have_empty_lines() -> None:
    note = parse_note(C2SP_NOTE.encode())

    assert note.text.endswith("\n\ned è subito sera.\n")
    assert [line.name for line in note.signatures] == ["quasimodo.example/salvatore"]
    assert encode_note(note) == C2SP_NOTE.encode()


@settings(deadline=None)
@given(NOTES)
def test_what_is_encoded_is_what_is_parsed(note: Note) -> None:
    assert parse_note(encode_note(note)) == note


@settings(deadline=None)
@given(NOTES, st.data())
def test_a_changed_byte_is_another_note_or_none(note: Note, draw: st.DataObject) -> None:
    raw = bytearray(encode_note(note))
    raw[draw.draw(st.integers(0, len(raw) - 1))] ^= draw.draw(st.integers(1, 255))

    try:
        other = parse_note(bytes(raw))
    except MalformedNote:
        return
    assert other != note
    assert encode_note(other) == bytes(raw), "one note has one form"


@settings(deadline=None)
@given(st.binary(max_size=200) | st.text().map(str.encode))
def test_any_bytes_are_a_note_or_malformed(data: bytes) -> None:
    try:
        note = parse_note(data)
    except MalformedNote:
        return
    assert encode_note(note) == data


@pytest.mark.parametrize(
    "note",
    [
        Note("no newline", (LINE,)),
        Note("", (LINE,)),
        Note("carriage return\r\n", (LINE,)),
        Note("text\n", ()),
        Note("text\n", (LINE,) * (MAX_SIGNATURES + 1)),
        Note("x" * MAX_NOTE_BYTES + "\n", (LINE,)),
        Note("text\n", (LINE._replace(name="a b"),)),
        Note("text\n", (LINE._replace(name="a\u2003b"),)),
        Note("text\n", (LINE._replace(name="a+b"),)),
        Note("text\n", (LINE._replace(name="\udcff"),)),
        Note("text\n", (LINE._replace(key_id=b"123"),)),
        Note("text\n", (LINE._replace(blob=b""),)),
        Note("\udcff\n", (LINE,)),
    ],
)
def test_a_note_that_could_not_be_read_again_is_not_written(note: Note) -> None:
    with pytest.raises(MalformedNote):
        encode_note(note)


def test_limits_are_taken_to_the_last() -> None:
    note = Note("text\n", (LINE,) * MAX_SIGNATURES)
    assert parse_note(encode_note(note)) == note
    with pytest.raises(MalformedNote):
        parse_note(encode_note(note) + encode_line(LINE).encode())
    with pytest.raises(MalformedNote):
        parse_note(b"x" * MAX_NOTE_BYTES + encode_note(note))


def test_a_key_id_depends_on_name_type_and_key() -> None:
    ids = {key_id(name, kind, key) for name in ("a", "b") for kind in (ED25519, COSIGNATURE_V1) for key in (b"1", b"2")}
    assert len(ids) == 8


@settings(deadline=None)
@given(NAMES, st.integers(0, 255), st.binary(min_size=1, max_size=40))
def test_a_verifier_key_survives(name: str, kind: int, key: bytes) -> None:
    made = VerifierKey(name, kind, key)
    assert parse_vkey(encode_vkey(made)) == made


@settings(deadline=None)
@given(LINES)
def test_a_line_survives(line: SignatureLine) -> None:
    assert parse_line(encode_line(line)[:-1]) == line


@pytest.mark.parametrize(
    "text",
    ["", GO_VKEY + "\n", GO_VKEY.replace("c74f", "C74F"), GO_VKEY.replace("c74f", "c74e"), GO_VKEY[:-4],
     GO_VKEY.replace("Peter", "Peter "), "a+00000000+", "\udcff+00000000+AQE="],
)  # fmt: skip
def test_a_verifier_key_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(MalformedNote):
        parse_vkey(text)
