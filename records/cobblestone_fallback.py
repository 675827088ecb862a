"""Opening a Cobblestone-256 ciphertext without the library that sealed it.

Records must open for decades, and ``cryptography.cobblestone`` is a young
module. This second decoder, built only on HKDF-Expand and AES-GCM, shows that
the stored format is known and not merely whatever one library happens to do.

Source: C2SP chunked-encryption (https://c2sp.org/chunked-encryption), with
SHA-512 and AES-256-GCM.

- ciphertext = salt 24 || commitment 32 || chunks.
- key 32 || base nonce 12 || commitment 32 = HKDF-Expand-SHA512(input key,
  "c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM" || 0x00 || salt || context).
- The commitment is compared, in constant time, before any chunk is opened.
- The message is cut into chunks of 16 KiB; the final chunk is always shorter
  and may be empty, so a ciphertext that ends on a full chunk was truncated.
- Chunk i is AES-256-GCM without associated data, under the base nonce XOR i.
- Nothing is released until every chunk is authentic.

It does not seal, does not stream, and does not say which check failed. The
format's limit of 2**38 chunks lies far above what one ``bytes`` can hold.
"""

from hmac import compare_digest

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

LABEL = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00"
KEY_BYTES = 32
SALT_BYTES = 24
NONCE_BYTES = 12
COMMITMENT_BYTES = 32
TAG_BYTES = 16
SEALED_CHUNK_BYTES = 16 * 1024 + TAG_BYTES


class NotAuthentic(ValueError):
    """The ciphertext was not sealed, whole, under this key and context."""

    def __init__(self) -> None:
        """State the failure without any value of the input."""
        super().__init__("ciphertext is not authentic under this key and context")


def open_cobblestone256(key: bytes, context: bytes, ciphertext: bytes) -> bytes:
    """Open a Cobblestone-256 ciphertext.

    Args:
        key: The input key, 32 uniformly random bytes.
        context: The bytes that the message was bound to; may be empty.
        ciphertext: The whole message, from the salt to the final chunk.

    Returns:
        The plaintext; may be empty. Time and memory grow with its length.

    Raises:
        NotAuthentic: Wrong key or context, or an altered, truncated or
            extended ciphertext.
    """
    salt, rest = ciphertext[:SALT_BYTES], ciphertext[SALT_BYTES:]
    commitment, body = rest[:COMMITMENT_BYTES], rest[COMMITMENT_BYTES:]
    # HMAC pads a short key with zeros, so a key of another length could pass
    # for the right one. A last piece shorter than a tag means that the final
    # short chunk is missing or cut.
    if len(key) != KEY_BYTES or len(body) % SEALED_CHUNK_BYTES < TAG_BYTES:
        raise NotAuthentic
    derived = HKDFExpand(SHA512(), KEY_BYTES + NONCE_BYTES + COMMITMENT_BYTES, LABEL + salt + context).derive(key)
    if not compare_digest(derived[KEY_BYTES + NONCE_BYTES :], commitment):
        raise NotAuthentic
    base_nonce = int.from_bytes(derived[KEY_BYTES : KEY_BYTES + NONCE_BYTES])
    cipher = AESGCM(derived[:KEY_BYTES])
    chunks = []
    try:
        for index, start in enumerate(range(0, len(body), SEALED_CHUNK_BYTES)):
            nonce = (base_nonce ^ index).to_bytes(NONCE_BYTES)
            sealed = body[start : start + SEALED_CHUNK_BYTES]
            chunks.append(cipher.decrypt(nonce, sealed, None))
    except InvalidTag as broken:
        raise NotAuthentic from broken
    return b"".join(chunks)
