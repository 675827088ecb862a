"""The certificate of an erasure: what was decided, which keys were destroyed, and the proof that the log says so.

Source: CRYPTO 7 (step 8).

- For each destroyed key it holds the entry that created it and the one that destroyed it, with proofs that both are in
  the log of one signed checkpoint; and the log's genesis, by whose fingerprint its reader knows whose log that is.
- It names the client by id only. It says what it does not prove.
- It can be made anew at any time; each time it is a reading of the client.

It verifies nothing: see `ops.verifier.erasure_check`.
"""

from __future__ import annotations

import msgspec

from projections.erasures import ErasureItem, erasure_item
from projections.log_proofs import LogProofs
from records.errors import RuleBroken, UnknownItem
from records.ledger import KeyClass, decode_entry
from records.reader import Asked, Built, Reader
from records.retention import BASES
from records.signed_note import encode_base64

FORMAT = "wellkept-erasure-certificate/1"
NOT_PROVED = (
    "That no copy exists outside the backups of this clinic: what was disclosed before, printed, or copied by hand.",
    "That whoever held the root key and a copy of the keyring from before did not use them before the old root key was"
    " destroyed.",
    "That the storage medium keeps no trace of deleted blocks; solid-state disks may, wrapped under the destroyed key.",
    "That this client had no other keys: the whole log shows that (`wellkept verify`).",
)
"""What the certificate says of itself."""


class ProvedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the log and the proof that it is in the tree of the checkpoint; bytes in base64.

    Attributes:
        index: its place.
        entry: the 157 bytes.
        hashes: RFC 6962 inclusion proof, from below upwards.
    """

    index: int
    entry: str
    hashes: tuple[str, ...]


class DestroyedKeyProof(msgspec.Struct, frozen=True, kw_only=True):
    """One data key; `key_class` as in `records.ledger.KeyClass`, in words."""

    key_id: str
    key_class: str
    created: ProvedEntry
    destroyed: ProvedEntry


class ErasureCertificate(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate.

    Attributes:
        clinic: its name.
        basis: the ground in words; None where the log was restored from before the request.
        checkpoint: the signed checkpoint, as a note.
        genesis: entry 0, and `genesis_body` its clear body in base64.
    """

    format: str
    clinic: str
    erasure: ErasureItem
    basis: str | None
    keys: tuple[DestroyedKeyProof, ...]
    checkpoint: str
    genesis: ProvedEntry
    genesis_body: str
    not_proved: tuple[str, ...] = NOT_PROVED


class CertificateView:
    """The certificate of one erasure of one client."""

    action = "erasure.certificate"

    def build(self, reader: Reader, asked: Asked) -> Built:
        """Build it. O(keys of the clinic).

        Raises:
            UnknownItem: this client has no such erasure.
            RuleBroken: `erasure-not-completed`, also while no checkpoint covers it yet.
        """
        clinic = reader.directory.clinic
        found = None if asked.resource is None else clinic.erasures.get(asked.resource)
        if asked.resource is None or found is None or found.client_id != asked.client_id:
            raise UnknownItem("erasure")
        proofs = LogProofs(reader)
        checkpoint = proofs.checkpoint()
        pairs: dict[bytes, list[int]] = {}
        classes: dict[bytes, KeyClass] = {}
        for index, raw in reader.key_entries():
            entry = decode_entry(raw)
            if entry.stream == found.client_id and index < checkpoint.size:
                pairs.setdefault(entry.key_id, []).append(index)
                classes[entry.key_id] = entry.key_class
        body = reader.body(0)
        if found.completed_at is None or body is None or any(len(each) != 2 for each in pairs.values()):
            raise RuleBroken("erasure-not-completed", "The erasure is not completed, or not signed yet; try again.")

        def proved(index: int) -> ProvedEntry:
            (raw,) = reader.log_entries(index, index + 1)
            hashes = proofs.inclusion(index, checkpoint.size).hashes
            return ProvedEntry(index=index, entry=encode_base64(raw), hashes=hashes)

        keys = tuple(
            DestroyedKeyProof(
                key_id=key_id.hex(),
                key_class=classes[key_id].name.lower().replace("_", "-"),
                created=proved(created),
                destroyed=proved(destroyed),
            )
            for key_id, (created, destroyed) in pairs.items()
        )
        return Built(
            ErasureCertificate(
                format=FORMAT,
                clinic=clinic.name,
                erasure=erasure_item(asked.resource, found, reader.directory),
                basis=None if found.basis is None else BASES[found.basis].label,
                keys=keys,
                checkpoint=checkpoint.note.decode(),
                genesis=proved(0),
                genesis_body=encode_base64(body),
            )
        )


CERTIFICATE = CertificateView()
