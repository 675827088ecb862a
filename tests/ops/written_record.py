"""The bundle of one record written by hand, from the layouts alone: what its verifier is tested with.

It shares nothing with what writes exports nor with the verifier. A test may change the record before it is released, as
a clinic that lies would, or the files after it, as somebody on the way would.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from uuid import UUID

from tests.ops.written_log import NOTHING, WrittenLog, lp, lp32, sha, tree

Files = dict[str, bytes]
Json = dict[str, Any]
SEGMENT = "https://wellkept.example/fhir/StructureDefinition/segment"
ERROR = "entered-in-error"
FREE = (
    "record.schema.json",
    "access-report/report.txt",
    "access-report/report.json",
    "access-report/audit-events.json",
)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def when(at_us: int) -> str:
    told = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)
    return told.isoformat().replace("+00:00", "Z")


def uuid(raw: bytes) -> str:
    return str(UUID(bytes=raw))


def plain(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def shared(leaves: list[bytes], wanted: set[int], start: int = 0) -> list[bytes]:
    """The one proof for many leaves, by its definition."""
    if not leaves or not wanted & set(range(start, start + len(leaves))):
        return [tree(leaves)] if leaves else []
    if len(leaves) == 1:
        return []
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return shared(leaves[:half], wanted, start) + shared(leaves[half:], wanted, start + half)


def digest_of(salt: bytes, path: str, content: str) -> bytes:
    return sha(b"wkseg\1" + salt + lp(path.encode()) + lp32(content.encode()))


class WrittenRecord(WrittenLog):
    """A log with the record of one client, Ann, in it."""

    def __init__(self, seed: str = "record") -> None:
        super().__init__(seed)  # 0 genesis
        self.told: list[Json] = []
        self.audit_key = self.key(self.deployment.bytes, 4)  # 1
        self.ann, self.ann_readings, self.ben = self.id(), self.id(), self.id()
        self.ann_key, self.ben_key = self.key(self.ann), self.key(self.ben)  # 2, 3

    def copy(self, size: int | None = None) -> Self:
        other = super().copy(size)
        other.told = json.loads(json.dumps(self.told))
        return other

    def segmented(self, topic: str, header: Json, texts: dict[str, str]) -> tuple[int, list[Json]]:
        """Enter an event of Ann's with these segments; return its index and the segments as they are told."""
        told = []
        for path, content in {"v1": plain({"topic": topic, **header}).decode(), **texts}.items():
            told.append({"path": path, "salt": self.random.randbytes(32).hex(), "content": content})
        leaves = [sha(b"\0" + digest_of(bytes.fromhex(s["salt"]), s["path"], s["content"])) for s in told]
        version, previous = self.heads.get(self.ann, (0, NOTHING))
        place = (self.ann, version + 1, previous, self.ann_key, 1)
        index = self.enter(1, *place, 600, sha(self.random.randbytes(8)), tree(leaves))
        self.heads[self.ann] = (version + 1, sha(b"\0" + self.entries[index]))
        return index, told

    def write(self, topic: str, texts: dict[str, str] | None = None, *, withhold: bool = False, **header: Any) -> int:
        """Write an event into Ann's record."""
        index, told = self.segmented(topic, header, texts or {})
        if withhold:
            told[1:] = [
                {"digest": digest_of(bytes.fromhex(s["salt"]), s["path"], s["content"]).hex(), "withheld": ERROR}
                for s in told[1:]
            ]  # fmt: skip
        self.told.append({
            "version": self.heads[self.ann][0], "index": index, "topic": topic, "segments": told,
            "recorded_at": header.get("originally_recorded_at") or when(self.at_us),
        })  # fmt: skip
        return index

    def unreadable(self) -> int:
        """Write an event that cannot be opened when the record is exported."""
        index = self.write("note.signed", {"text": "lost"})
        self.told[-1] |= {"topic": "unreadable", "segments": []}
        return index

    def reading(self) -> int:
        return self.event(self.ann_readings, self.audit_key, "read", 4, kind=2)

    def other(self) -> int:
        return self.event(self.ben, self.ben_key, "Ben's")

    # --- the bundle

    def readings(self, at: int) -> list[Json]:
        own = [index for index in range(at) if self.entries[index][16:32] == self.ann_readings]
        return [{"version": version, "index": index} for version, index in enumerate(own, 1)]

    def record(self, at: int) -> Json:
        left: dict[str, int] = {}
        for event in self.told:
            for reason in [s["withheld"] for s in event["segments"] if "withheld" in s] or ["unreadable"]:
                if not event["segments"] or "withheld" in event["segments"][-1]:
                    left[reason] = left.get(reason, 0) + 1
        return {
            "format": "wellkept-record/1",
            "clinic": {
                "name": "A Clinic", "deployment_id": str(self.deployment), "origin": self.origin,
                "fingerprint": self.fingerprint, "jurisdiction": "uk", "time_zone": "Europe/London",
            },
            "client_id": uuid(self.ann),
            "at": at,
            "as_of": when(int.from_bytes(self.entries[at - 1][8:16], "big")),
            "staff": {uuid(self.ben): "Dr Ray"},
            "events": [event for event in self.told if event["index"] < at],
            "readings": self.readings(at),
            "left_out": [{"reason": r, "count": n, "explanation": "Said."} for r, n in sorted(left.items())],
        }  # fmt: skip

    def page(self, record: Json) -> bytes:
        rows = []
        for event in record["events"]:
            for segment in event["segments"]:
                mark = f'data-event="{event["version"]}" data-place='
                if segment.get("path") == "v1":
                    for name, value in json.loads(segment["content"]).items():
                        exact = value if isinstance(value, str) else plain(value).decode()
                        told = html.escape(json.dumps(exact))
                        rows.append(f'<p><bdi {mark}"/{name}" data-exact="{told}">in other words</bdi><br></p>')
                if "path" in segment:
                    rows.append(f'<p><bdi {mark}"{segment["path"]}">{html.escape(segment["content"])}</bdi></p>')
        head = "<title>Ann &amp; record</title><style>p > bdi { color: black }</style>"
        body = "\n".join(rows) + '<script type="application/json">{"a": "<p>"}</script><input hidden>'
        return f"<!DOCTYPE html>\n<html><head>{head}</head><body>\n{body}\n</body></html>\n".encode()

    def fhir(self, record: Json) -> bytes:
        """Free texts in each of the three ways, one after the other."""
        entries: list[Json] = []
        for event in record["events"]:
            for segment in event["segments"][1:]:
                if "path" not in segment:
                    continue
                mark = {"url": SEGMENT, "valueString": f"{event['version']}:{segment['path']}"}
                text = segment["content"]
                data = {"extension": [mark], "data": b64(text.encode()), "size": len(text.encode())}
                ways: list[Json] = [
                    {"description": text, "_description": {"extension": [mark]}},
                    {"extension": [{"url": "https://x", "extension": [{"url": "text", "valueString": text}, mark]}]},
                    {"content": [{"attachment": data}]},
                    {"_title": {"extension": [{"url": "https://x.example/exact", "valueAttachment": data}]}},
                ]
                entries.append({"resource": ways[len(entries) % 4]})
        return plain({"resourceType": "Bundle", "type": "document", "entry": entries})

    def outer(self, record: Json) -> Files:
        """Every file outside of `proof/` but the manifest."""
        return {
            "README.txt": b"Read me.\n",
            "record.html": self.page(record),
            "record.json": plain(record),
            "fhir.json": self.fhir(record),
            "verify.py": b"print('shipped')\n",
            **dict.fromkeys(FREE, b"{}\n"),
        }

    def heads_file(self, at: int) -> Json:
        turn = max(index for index in self.bodies if index <= at)
        found: dict[bytes, int] = {}
        for entry in self.entries[:turn]:
            if entry[7] in (1, 2):
                found[entry[16:32]] = int.from_bytes(entry[32:40], "big")
        ordered = sorted(found)
        leaves = [sha(b"\0" + stream + struct.pack(">Q", found[stream])) for stream in ordered]
        places = {stream: ordered.index(stream) for stream in (self.ann, self.ann_readings) if stream in found}
        return {
            "format": "wellkept-heads/1", "index": turn, "size": len(ordered),
            "places": {uuid(stream): place for stream, place in places.items()},
            "heads": {uuid(stream): found[stream] for stream in places},
            "hashes": [b64(each) for each in shared(leaves, set(places.values()))],
        }  # fmt: skip

    def log_file(self, wanted: set[int]) -> Json:
        return {
            "format": "wellkept-entries/1", "size": len(self.entries),
            "entries": {str(index): b64(self.entries[index]) for index in sorted(wanted)},
            "hashes": [b64(each) for each in shared(self.leaves(), wanted)],
        }  # fmt: skip

    def bundle(
        self, at: int, *, lie: Callable[[Json], None] | None = None, swap: Files | None = None,
        then: Callable[[], None] | None = None, **header: Any,
    ) -> Files:  # fmt: skip
        """Release the record below a place and return its bundle.

        `lie` alters record.json, and `swap` exchanges files, before they are released; `then` enters more into the log.
        """
        record = self.record(at)
        wanted = {each["index"] for each in (*record["events"], *record["readings"])}
        if lie is not None:
            lie(record)
        files = with_manifest(self.outer(record) | (swap or {}))
        released = {"manifest_sha256": hashlib.sha256(files["manifest.json"]).hexdigest()} | header
        index, told = self.segmented(released.pop("topic", "disclosure.made"), released, {"purpose": "asked for"})
        if then is not None:
            then()
        wanted |= {index, *self.bodies}
        return files | {
            "proof/checkpoint": self.checkpoint(),
            "proof/log.json": plain(self.log_file(wanted)),
            "proof/heads.json": plain(self.heads_file(at)),
            "proof/release.json": plain({"index": index, "segments": told}),
            **{f"proof/bodies/{each}": body for each, body in self.bodies.items()},
        }


def with_manifest(files: Files) -> Files:
    """The files with a manifest that names them as they are now."""
    record = json.loads(files["record.json"])
    outer = {name: data for name, data in files.items() if name[:6] != "proof/" and name != "manifest.json"}
    manifest = {
        "format": "wellkept-record/1", "clinic": record["clinic"]["name"],
        "deployment_id": record["clinic"]["deployment_id"],
        **{key: record[key] for key in ("client_id", "at", "as_of", "left_out")},
        "events": len(record["events"]), "readings": len(record["readings"]),
        "files": [
            {"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in sorted(outer.items())
        ],
    }  # fmt: skip
    return files | {"manifest.json": json.dumps(manifest, indent=1).encode()}


class SmallRecord(WrittenRecord):
    """A record of six events and four readings; the comments are indexes. It is exported below 18."""

    AT = 18

    def __init__(self, seed: str = "record") -> None:
        super().__init__(seed)
        self.write("client.registered", identity={"family": "Example", "age": 41})  # 4
        self.reading()  # 5
        self.other()  # 6
        self.write("note.signed", {"sections/plan": "Call <the GP> & wait.", "sections/summary": "Slept well."})  # 7
        self.reading()  # 8
        self.turn()  # 9 epoch 1
        self.write("note.signed", {"text": "From before."}, originally_recorded_at="2021-03-01T09:00:00Z")  # 10
        self.write("note.signed", {"text": "About somebody else."}, withhold=True)  # 11
        self.reading()  # 12
        self.other()  # 13
        self.turn()  # 14 epoch 2
        self.unreadable()  # 15
        self.write("note.signed", {"text": "Newest: “ça va”."})  # 16
        self.reading()  # 17

    def files(self, **changes: Any) -> Files:
        """Return the bundle of a copy: what it enters into the log is entered there."""
        log = self.copy()
        log.other()
        return log.bundle(self.AT, **changes)
