"""Stored formats are for ever: what was written once, and is kept here as bytes, loads today as it did then.

- `golden/payloads/<topic>.v<version>.payload` is an event's payload, with every field set; the `.json` beside it is the
  event that it must load as, in the form that its class has today.
- `golden/sealed_event.hex`, `sealed_row.hex`, `ledger_entry.hex` and `wrapped_key.hex` were made under the fixed keys
  below. `golden/root.key` and `golden/root_with_passphrase.key` are key files.
- `golden/bad/` holds notes, checkpoints, tiles, proofs and epochs, good and bad: see `tests.bad_files`.
- A file here is never changed and never deleted. `python -m tests.test_golden --write-missing` writes those that are
  not there yet, for a new event or a new payload version, and touches no other.
"""

from __future__ import annotations

import hashlib
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from msgspec import inspect

from records.catalogue import CATALOGUE, to_event
from records.event import Event, topic_of
from records.key_provider import KeyFileProvider
from records.ledger import Entry, KeyClass, Kind, decode_entry, encode_entry
from records.payload import decode_payload, encode_payload, to_segments
from records.sealing import DataKey, Place, open_event, open_row, seal_event, seal_row

GOLDEN = Path(__file__).parent / "golden"
PAYLOADS = GOLDEN / "payloads"
DEPLOYMENT, STREAM = UUID(int=0xD1), UUID(int=0xC1)
KEY = DataKey(bytes(range(16)), KeyClass.RECORD, bytes(range(32)))
PLACE = Place(DEPLOYMENT, "event", STREAM, 7)
ROW_PLACE = Place(DEPLOYMENT, "view:client", STREAM, 7)
LEAF = bytes(range(32, 64))
BOUND = (b"note", b"author")
ROW_CONTENT = b'{"a sealed":"row"}'
KEY_CONTEXT = b"wellkept/dek/1 golden"
PASSPHRASE = b"golden passphrase"
ENTRY = Entry(
    kind=Kind.EVENT,
    logged_at_us=1_772_445_600_000_001,
    stream=STREAM,
    version=7,
    prev_stream_leaf=LEAF,
    key_id=KEY.key_id,
    key_class=KeyClass.RECORD,
    payload_len=640,
    payload_sha256=bytes(range(64, 96)),
    content_root=bytes(range(96, 128)),
)


# --- samples: one event of each class, every field set to something that is not its default


def sample(kind: inspect.Type, name: str) -> Any:
    """Return a value of a type that depends only on the type and the field's name."""
    number = hashlib.sha256(name.encode()).digest()[0]
    if isinstance(kind, inspect.UnionType):
        return sample(next(k for k in kind.types if not isinstance(k, inspect.NoneType)), name)
    if isinstance(kind, inspect.StructType):
        return kind.cls(**{field.name: sample(field.type, field.name) for field in kind.fields})
    if isinstance(kind, inspect.DictType):
        return {sample(kind.key_type, name): sample(kind.value_type, name)}
    if isinstance(kind, inspect.VarTupleType | inspect.ListType):
        values = [sample(kind.item_type, name)]
        return tuple(values) if isinstance(kind, inspect.VarTupleType) else values
    if isinstance(kind, inspect.LiteralType):
        return kind.values[-1]
    if isinstance(kind, inspect.EnumType):
        return list(kind.cls)[-1]
    plain: dict[type[inspect.Type], Any] = {
        inspect.StrType: f"{name} – ✓",
        inspect.IntType: 1 + number,
        inspect.FloatType: 0.5 + number,
        inspect.BoolType: True,
        inspect.BytesType: bytes([number]) * 32,
        inspect.DateTimeType: datetime(2026, 3, 2, 10, 0, 0, number, tzinfo=UTC),
        inspect.DateType: date(1981, 4, 2),
        inspect.UUIDType: UUID(int=number, version=4),
    }
    return plain[type(kind)]


def sample_event(cls: type[Event]) -> Event:
    """Return the sample of an event class."""
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    facts = {field.name: sample(field.type, field.name) for field in info.fields}
    for field in info.fields:
        if facts[field.name] == field.default:
            facts[field.name] = field.type.values[0] if isinstance(field.type, inspect.LiteralType) else False
    return cls(**facts)


# --- payloads

FILES = sorted(path.name.removesuffix(".payload") for path in PAYLOADS.glob("*.payload"))


def current(cls: type[Event]) -> str:
    """Return the name of the golden files of a class at its payload version of today."""
    return f"{topic_of(cls)}.v{cls.payload_version}"


@pytest.mark.parametrize("name", FILES)
def test_a_payload_loads_as_it_did_when_it_was_written(name: str) -> None:
    topic = name.rpartition(".v")[0]
    expected = msgspec.json.decode((PAYLOADS / f"{name}.json").read_bytes(), type=CATALOGUE[topic])
    loaded = to_event(topic, decode_payload((PAYLOADS / f"{name}.payload").read_bytes()))

    assert loaded == expected
    assert type(loaded) is CATALOGUE[topic]


@pytest.mark.parametrize("cls", CATALOGUE.values(), ids=CATALOGUE)
def test_every_event_has_its_golden_payload_with_every_field(cls: type[Event]) -> None:
    assert current(cls) in FILES, "run `python -m tests.test_golden --write-missing` and commit what it wrote"
    written = msgspec.json.decode((PAYLOADS / f"{current(cls)}.json").read_bytes())
    document = {field.encode_name for field in msgspec.structs.fields(cls) if field.required}

    assert document <= set(written)
    assert set(cls.free_text) <= set(written)


@pytest.mark.parametrize("cls", CATALOGUE.values(), ids=CATALOGUE)
def test_a_sample_sets_every_field_and_survives(cls: type[Event]) -> None:
    made = sample_event(cls)
    assert to_event(topic_of(cls), decode_payload(encode_payload(to_segments(made)))) == made
    for field in msgspec.structs.fields(cls):
        assert getattr(made, field.name) != field.default, field.name


def test_each_payload_has_its_event_beside_it() -> None:
    assert sorted(path.stem for path in PAYLOADS.glob("*.json")) == FILES
    assert len(FILES) >= len(CATALOGUE)


# --- seals, entries and keys


def read_hex(name: str) -> bytes:
    """Return the bytes of a golden file."""
    return bytes.fromhex((GOLDEN / name).read_text("ascii"))


def test_a_sealed_event_opens() -> None:
    topic, segments = open_event(KEY, PLACE, read_hex("sealed_event.hex"))

    assert topic == "note.signed"
    assert encode_payload(segments) == (PAYLOADS / "note.signed.v1.payload").read_bytes()


def test_a_sealed_row_opens() -> None:
    assert open_row(KEY, ROW_PLACE, 3, LEAF, BOUND, read_hex("sealed_row.hex")) == ROW_CONTENT


def test_a_ledger_entry_is_decoded() -> None:
    assert decode_entry(read_hex("ledger_entry.hex")) == ENTRY


@pytest.mark.parametrize(("name", "passphrase"), [("root.key", None), ("root_with_passphrase.key", PASSPHRASE)])
def test_a_wrapped_key_opens_with_its_key_file(name: str, passphrase: bytes | None) -> None:
    wrapped = read_hex(name.replace(".key", "_wrapped.hex"))

    assert KeyFileProvider(GOLDEN / name, passphrase).unwrap(1, KEY_CONTEXT, wrapped) == KEY.secret


# --- writing what is missing


def write_missing() -> list[Path]:
    """Write the golden files that are not there; return them. Existing files are never touched."""
    PAYLOADS.mkdir(parents=True, exist_ok=True)
    note = sample_event(CATALOGUE["note.signed"])
    fields = {**msgspec.structs.asdict(ENTRY), "stream": STREAM.bytes}
    wanted: dict[Path, bytes] = {
        GOLDEN / "sealed_event.hex": seal_event(KEY, PLACE, "note.signed", to_segments(note)).state.hex().encode(),
        GOLDEN / "sealed_row.hex": seal_row(KEY, ROW_PLACE, 3, LEAF, BOUND, ROW_CONTENT).hex().encode(),
        GOLDEN / "ledger_entry.hex": encode_entry(**fields).hex().encode(),
    }
    for cls in CATALOGUE.values():
        made = sample_event(cls)
        wanted[PAYLOADS / f"{current(cls)}.payload"] = encode_payload(to_segments(made))
        wanted[PAYLOADS / f"{current(cls)}.json"] = msgspec.json.format(msgspec.json.encode(made), indent=2)
    written = [path for path in wanted if not path.exists()]
    for path in written:
        path.write_bytes(wanted[path] + (b"" if path.suffix == ".payload" else b"\n"))
    for name, passphrase in (("root.key", None), ("root_with_passphrase.key", PASSPHRASE)):
        path = GOLDEN / name
        if not path.exists():
            KeyFileProvider.create(path, passphrase)
            wrapped = KeyFileProvider(path, passphrase).wrap(KEY_CONTEXT, KEY.secret)
            path.with_name(name.replace(".key", "_wrapped.hex")).write_text(wrapped.hex() + "\n")
            written.append(path)
    return written


if __name__ == "__main__":
    if sys.argv[1:] != ["--write-missing"]:
        sys.exit("say --write-missing to write the golden files that are not there")
    sys.stdout.writelines(f"{path.relative_to(GOLDEN)}\n" for path in write_missing())
