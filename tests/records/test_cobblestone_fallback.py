"""The fallback decoder and the library agree on what opens and what does not.

- Every ciphertext that the library seals, the fallback opens, around each
  chunk boundary too.
- What the library refuses, the fallback refuses: a flipped bit anywhere, a cut
  or an extension at any place, chunks out of order, another key or context.
- Two ciphertexts sealed once by the library are kept here, so that a later
  change of the library's format is noticed.
"""

import pytest
from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag
from hypothesis import example, given, settings
from hypothesis import strategies as st

from records.cobblestone_fallback import NotAuthentic, open_cobblestone256

KEY = bytes(range(32))
CONTEXT = b"a place of its own"
CHUNK = 16 * 1024
SEALED_CHUNK = CHUNK + 16
HEADER = 24 + 32

# (key, context, plaintext, ciphertext), sealed with cryptography 50.0.2.
VECTORS = [
    pytest.param(
        "3b9f36711a48f3691a3b98ed05e1a431d19d5ad0cbccfd50bd8df2b84bc4d956",
        b"",
        b"",
        "06f26ffb01a1976343809a4de92495a2fad57c4512c191bb"
        "a541e108147342ec8d80be888b6351e7c321a0d87a7100ec6b5d15f403e737de"
        "7724aae30b021f320ab15f8f745d1da6",
        id="empty message and context",
    ),
    pytest.param(
        "aeea2987a055bf2fa896c74047ab8a581d48406b9ff5babd492572d8d45e3fbb",
        b"wellkept/ctx/1 example",
        "Arrived early, slept better. ✓".encode(),
        "87eda28633012dfedfccf81eea09fb5d2275e128ee815832667e58fc4159b5fc"
        "d7b44597855e81731cbbca3369636402bf36614ba0824e5eb53af313498bdff3"
        "395af8e09e55270eac5a5b7cf0d5bd8764d5ae42f38393383a24415bced6704b"
        "c9fdb0de83c437ac",
        id="one short chunk",
    ),
]


def seal(plaintext: bytes, key: bytes = KEY, context: bytes = CONTEXT) -> bytes:
    """Seal with the library."""
    encryptor = Cobblestone256Encryptor(key, context)
    return encryptor.update(plaintext) + encryptor.finalize()


def open_with_library(key: bytes, context: bytes, ciphertext: bytes) -> bytes:
    """Open with the library."""
    decryptor = Cobblestone256Decryptor(key, context)
    return decryptor.update(ciphertext) + decryptor.finalize()


def message(size: int) -> bytes:
    """Return bytes in which no two chunks are alike (251 is prime)."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def assert_both_refuse(ciphertext: bytes, key: bytes = KEY, context: bytes = CONTEXT) -> None:
    """Hold the fallback to the library's own refusal."""
    with pytest.raises(InvalidTag):
        open_with_library(key, context, ciphertext)
    with pytest.raises(NotAuthentic):
        open_cobblestone256(key, context, ciphertext)


@pytest.mark.parametrize(("key", "context", "plaintext", "ciphertext"), VECTORS)
def test_known_answers_open_with_both(key: str, context: bytes, plaintext: bytes, ciphertext: str) -> None:
    """Stored bytes open for ever, with the library and without it."""
    arguments = bytes.fromhex(key), context, bytes.fromhex(ciphertext)
    assert open_cobblestone256(*arguments) == plaintext
    assert open_with_library(*arguments) == plaintext


@pytest.mark.parametrize(
    "size",
    [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 40_000, 300 * CHUNK + 5],
)
def test_opens_what_the_library_seals(size: int) -> None:
    """300 chunks carry the counter into the second byte of the nonce."""
    plaintext = message(size)
    assert open_cobblestone256(KEY, CONTEXT, seal(plaintext)) == plaintext


@given(
    key=st.binary(min_size=32, max_size=32),
    context=st.binary(max_size=300),
    plaintext=st.binary(max_size=600) | st.integers(CHUNK - 20, 3 * CHUNK + 20).map(message),
)
@settings(deadline=None)
def test_opens_any_key_context_and_message(key: bytes, context: bytes, plaintext: bytes) -> None:
    """The round trip holds for every input."""
    ciphertext = seal(plaintext, key, context)
    assert open_cobblestone256(key, context, ciphertext) == plaintext


@given(position=st.integers(0, HEADER + 2 * SEALED_CHUNK + 115), bit=st.integers(0, 7))
@example(position=0, bit=0)  # salt
@example(position=24, bit=0)  # commitment, first byte
@example(position=HEADER - 1, bit=7)  # commitment, last byte
@example(position=HEADER, bit=0)  # first chunk
@example(position=HEADER + CHUNK, bit=0)  # first chunk's tag
@example(position=HEADER + SEALED_CHUNK, bit=0)  # second chunk
@example(position=HEADER + 2 * SEALED_CHUNK, bit=0)  # final chunk
@example(position=HEADER + 2 * SEALED_CHUNK + 115, bit=7)  # final tag
@settings(deadline=None)
def test_refuses_a_flipped_bit(position: int, bit: int) -> None:
    """No bit of any region may change."""
    altered = bytearray(seal(message(2 * CHUNK + 100)))
    altered[position] ^= 1 << bit
    assert_both_refuse(bytes(altered))


@given(kept=st.integers(0, HEADER + 2 * SEALED_CHUNK + 115))
@example(kept=0)
@example(kept=24)
@example(kept=HEADER)
@example(kept=HEADER + 15)
@example(kept=HEADER + SEALED_CHUNK)
@example(kept=HEADER + SEALED_CHUNK + 15)
@example(kept=HEADER + 2 * SEALED_CHUNK)
@example(kept=HEADER + 2 * SEALED_CHUNK + 16)
@settings(deadline=None)
def test_refuses_a_cut_at_any_place(kept: int) -> None:
    """A cut between two chunks leaves only authentic chunks, and is refused too."""
    assert_both_refuse(seal(message(2 * CHUNK + 100))[:kept])


@given(extra=st.binary(min_size=1, max_size=40))
@settings(deadline=None)
def test_refuses_an_extension(extra: bytes) -> None:
    """Bytes after the end are no part of the message."""
    assert_both_refuse(seal(message(100)) + extra)


def test_refuses_an_extension_that_keeps_the_short_end() -> None:
    """An own chunk repeated at the end has a wrong counter."""
    ciphertext = seal(message(CHUNK + 100))
    assert_both_refuse(ciphertext + ciphertext[HEADER:])


def test_refuses_chunks_out_of_order_or_missing() -> None:
    """Each chunk opens only in its own place."""
    ciphertext = seal(message(2 * CHUNK + 100))
    second, last = HEADER + SEALED_CHUNK, HEADER + 2 * SEALED_CHUNK
    header, tail = ciphertext[:HEADER], ciphertext[last:]
    assert_both_refuse(header + ciphertext[second:last] + ciphertext[HEADER:second] + tail)
    assert_both_refuse(header + ciphertext[second:])
    assert_both_refuse(header + tail)


@given(other=st.binary(max_size=40).filter(lambda other: other != CONTEXT))
@settings(deadline=None)
def test_refuses_another_context(other: bytes) -> None:
    """A ciphertext moved to another place does not open there."""
    assert_both_refuse(seal(b"text"), context=other)


@given(other=st.binary(min_size=32, max_size=32).filter(lambda other: other != KEY))
@settings(deadline=None)
def test_refuses_another_key(other: bytes) -> None:
    """Only the key that sealed opens."""
    assert_both_refuse(seal(b"text"), key=other)


@pytest.mark.parametrize("key", [b"", KEY[:-1], bytes(31), bytes(33)])
def test_refuses_a_key_of_another_length(key: bytes) -> None:
    """HMAC would pad 31 zero bytes to the 32 that sealed."""
    with pytest.raises(NotAuthentic):
        open_cobblestone256(key, CONTEXT, seal(b"text", bytes(32)))


def test_refuses_a_foreign_commitment() -> None:
    """Chunks that open under their own salt still need its commitment."""
    one, two = seal(b"one"), seal(b"two")
    assert_both_refuse(one[:24] + two[24:HEADER] + one[HEADER:])
    assert_both_refuse(two[:HEADER] + one[HEADER:])


def test_the_error_names_no_input() -> None:
    """An error may be logged; its text holds nothing of the message."""
    with pytest.raises(NotAuthentic) as caught:
        open_cobblestone256(KEY, b"Canary Ctx", seal(b"Canary Text"))
    assert isinstance(caught.value, ValueError)
    assert "Canary" not in str(caught.value)
