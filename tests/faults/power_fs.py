"""A file system that forgets what was not brought to the disk: a power cut, and a full disk, for tests.

It speaks the kernel's FUSE protocol itself (linux/fuse.h, version 7.31), so that it needs no library: only `/dev/fuse`
and the right to mount, which root has. `PowerFs.usable` says whether that is so here.

What it models:

- A file's bytes are durable once `fsync` or `fdatasync` of that file returned; a name in a folder (a new file, a
  renamed or a removed one) once `fsync` of the folder returned. That is less than most file systems keep.
- The cut comes by itself, at the n-th change that is made (a write, a sync, a truncation, a change of a name): from
  then on every call fails, and `image` is what the disk holds.
- `seed` None: everything that was not synced is gone. Else each single write survives or not, as the seed draws it,
  whole or up to one of its sectors of 512 bytes, in any order; changes of names survive up to some point, in order.
- `room`: how many bytes may be stored; a write that needs more is ENOSPC.
- `fails`: the error of every change of a kind (`write`, `sync`, `size`, `name`), while it stands there.

What it does not: a disk that lies about a sync, sectors that rot, other processes' caches, hard links after a cut.
"""

from __future__ import annotations

import ctypes
import errno
import os
import random
import stat
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

SECTOR = 512
FOREVER = 3600
"""Seconds for which the kernel may keep names and sizes: nobody but the kernel changes them."""
_MAX_WRITE = 1 << 17
_DETACH = 2
_BIG_WRITES = 1 << 5
_ROOT = 1
_SIZE, _MODE = 1 << 3, 1 << 0
_FREE = 1 << 30
_NO_ANSWER = (2, 36, 42)
"""FORGET, INTERRUPT and BATCH_FORGET are not answered."""

_libc = ctypes.CDLL(None, use_errno=True)


class Node:
    """A file, a folder or a socket: as it is, and as the disk holds it."""

    def __init__(self, mode: int) -> None:
        self.mode = mode
        self.data = bytearray()
        self.durable = b""
        self.pending: list[tuple[int, bytes | None]] = []
        """(offset, bytes) of each write since the last sync, (size, None) of each truncation."""
        self.names: dict[str, int] = {}
        self.durable_names: dict[str, int] = {}
        self.changes: list[dict[str, int | None]] = []
        """Each change of names since the last sync of the folder."""

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.mode)

    def sync(self) -> None:
        self.durable, self.durable_names = bytes(self.data), dict(self.names)
        self.pending.clear()
        self.changes.clear()

    def change(self, names: dict[str, int | None]) -> None:
        """Change names in this folder, all at once."""
        _apply(self.names, names)
        self.changes.append(names)

    def write(self, offset: int, data: bytes) -> None:
        _write(self.data, offset, data)
        self.pending.append((offset, data))

    def truncate(self, size: int) -> None:
        _truncate(self.data, size)
        self.pending.append((size, None))

    def after_cut(self, draw: random.Random | None) -> tuple[bytes, dict[str, int]]:
        """Return bytes and names that a power cut leaves."""
        data, names = bytearray(self.durable), dict(self.durable_names)
        if draw is None:
            return bytes(data), names
        for offset, written in self.pending:
            if draw.random() < 0.5:
                continue
            if written is None:
                _truncate(data, offset)
            elif draw.random() < 0.5:
                _write(data, offset, written)
            else:
                _write(data, offset, written[: draw.randrange(len(written) // SECTOR + 1) * SECTOR])
        for change in self.changes[: draw.randrange(len(self.changes) + 1)]:
            _apply(names, change)
        return bytes(data), names


def _apply(names: dict[str, int], change: dict[str, int | None]) -> None:
    for name, node in change.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


def _write(data: bytearray, offset: int, written: bytes) -> None:
    if written:
        data.extend(bytes(max(0, offset - len(data))))
        data[offset : offset + len(written)] = written


def _truncate(data: bytearray, size: int) -> None:
    del data[size:]
    data.extend(bytes(size - len(data)))


class PowerFs:
    """The file system, mounted while it is a context. Nothing of this process may look into the mount meanwhile."""

    def __init__(self, mount: Path, *, cut_at: int | None = None, seed: int | None = None) -> None:
        """Prepare an empty file system.

        Args:
            mount: an empty folder.
            cut_at: the number of the change at which the power fails; None for never.
            seed: what survives of what was not synced; None for nothing.
        """
        self.mount = mount
        self.room: int | None = None
        self.fails: dict[str, int] = {}
        self.changes = 0
        self.cut = threading.Event()
        self.image: dict[str, bytes | None] = {}
        """Path → bytes, None for a folder, as the cut left them; sockets are left out."""
        self.broken: list[BaseException] = []
        self._cut_at = cut_at
        self._draw = None if seed is None else random.Random(seed)
        self._nodes: dict[int, Node] = {_ROOT: Node(stat.S_IFDIR | 0o755)}
        self._next = _ROOT + 1
        self._calls: dict[int, Callable[[int, bytes], bytes]] = {
            1: self._lookup,
            3: lambda node, _: self._attributes(node),
            4: self._set,
            8: self._mknod,
            9: self._mkdir,
            10: self._unlink,
            11: self._unlink,
            12: lambda node, asked: self._rename(node, asked, 8),
            13: self._link,
            14: lambda _node, _: bytes(16),
            15: self._read,
            16: self._written,
            17: lambda _node, _: self._room_left(),
            18: lambda _node, _: b"",
            20: self._sync,
            25: lambda _node, _: b"",
            26: self._init,
            27: lambda _node, _: bytes(16),
            28: self._list,
            29: lambda _node, _: b"",
            30: self._sync,
            35: self._create,
            45: lambda node, asked: self._rename(node, asked, 16),
        }

    @staticmethod
    def usable(folder: Path) -> bool:
        """Whether such a file system can be mounted here."""
        try:
            with PowerFs(folder):
                return True
        except OSError:
            return False

    # --- mounted

    def __enter__(self) -> PowerFs:
        self._device = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={self._device},rootmode=40000,user_id={os.geteuid()},group_id={os.getegid()}".encode()
        if _libc.mount(b"power", bytes(self.mount), b"fuse.power", 0, options) != 0:
            os.close(self._device)
            raise OSError(ctypes.get_errno(), "cannot be mounted")
        self._thread = threading.Thread(target=self._serve, name="power-fs")
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        _libc.umount2(bytes(self.mount), _DETACH)
        self._thread.join()
        os.close(self._device)
        if error is None and self.broken:
            raise self.broken[0]

    def load(self, folder: Path) -> None:
        """Take a folder's content as durable, before anything runs on it."""
        for path in sorted(folder.rglob("*")):
            found = path.lstat()
            if stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode):
                node = Node(found.st_mode)
                node.data = bytearray() if node.is_folder else bytearray(path.read_bytes())
                parent = self._nodes[_ROOT]
                for part in path.relative_to(folder).parts[:-1]:
                    parent = self._nodes[parent.names[part]]
                parent.change({path.name: self._add(node)})
        for node in self._nodes.values():
            node.sync()

    def keep(self, folder: Path) -> None:
        """Write what the cut left, or where none came what is durable now, into a new folder."""
        if not self.cut.is_set():
            self._take_image()
        folder.mkdir()
        for name, data in self.image.items():
            path = folder / name
            if data is None:
                path.mkdir(mode=0o700)
            else:
                path.write_bytes(data)
                path.chmod(0o600)

    def _take_image(self) -> None:
        left = {number: node.after_cut(self._draw) for number, node in self._nodes.items()}
        self.image = {}
        folders = [("", _ROOT)]
        while folders:
            prefix, folder = folders.pop(0)
            for name, number in sorted(left[folder][1].items()):
                node = self._nodes[number]
                if node.is_folder:
                    self.image[prefix + name] = None
                    folders.append((f"{prefix}{name}/", number))
                elif stat.S_ISREG(node.mode):
                    self.image[prefix + name] = left[number][0]

    # --- the protocol

    def _serve(self) -> None:
        while True:
            try:
                request = os.read(self._device, _MAX_WRITE + 4096)
            except OSError:
                # It was unmounted.
                return
            _, call, unique, node = struct.unpack_from("<IIQQ", request)
            if call in _NO_ANSWER:
                continue
            try:
                answer, code = self._answer(call, node, request[40:]), 0
            except OSError as error:
                answer, code = b"", -(error.errno or errno.EIO)
            except (AttributeError, LookupError, TypeError, ValueError, struct.error) as error:
                # Else whoever waits for the answer would wait for ever.
                self.broken.append(error)
                answer, code = b"", -errno.EIO
            try:
                os.write(self._device, struct.pack("<IiQ", 16 + len(answer), code, unique) + answer)
            except OSError:
                # Whoever asked was killed meanwhile.
                continue

    def _answer(self, call: int, node: int, asked: bytes) -> bytes:
        if self.cut.is_set():
            raise OSError(errno.EIO, "the power is off")
        if call not in self._calls:
            raise OSError(errno.ENOSYS, "not modelled")
        return self._calls[call](node, asked)

    def _change(self, kind: str) -> None:
        """Count a change, before it is made; it fails as told, and the power fails when its turn has come."""
        if kind in self.fails:
            raise OSError(self.fails[kind], "told to fail")
        self.changes += 1
        if self.changes == self._cut_at:
            self._take_image()
            self.cut.set()
            raise OSError(errno.EIO, "the power is off")

    def _add(self, node: Node) -> int:
        self._nodes[self._next] = node
        self._next += 1
        return self._next - 1

    def _find(self, folder: int, name: str) -> int:
        try:
            return self._nodes[folder].names[name]
        except KeyError:
            raise OSError(errno.ENOENT, "no such name") from None

    def _init(self, _: int, asked: bytes) -> bytes:
        major, _minor, ahead, flags = struct.unpack_from("<IIII", asked)
        facts = (major, 31, ahead, flags & _BIG_WRITES, 16, 12, _MAX_WRITE, 1, 0, 0, 0)
        return struct.pack("<IIIIHHIIHHI", *facts) + bytes(28)

    def _attribute(self, number: int) -> bytes:
        node = self._nodes[number]
        size = len(node.data)
        owner = (os.geteuid(), os.getegid())
        facts = (number, size, -(-size // SECTOR), *[0] * 6, node.mode, 1, *owner, 0, 4096, 0)
        return struct.pack("<6Q10I", *facts)

    def _attributes(self, number: int) -> bytes:
        return struct.pack("<QII", FOREVER, 0, 0) + self._attribute(number)

    def _entry(self, number: int) -> bytes:
        return struct.pack("<QQQQII", number, 0, FOREVER, FOREVER, 0, 0) + self._attribute(number)

    def _lookup(self, folder: int, asked: bytes) -> bytes:
        return self._entry(self._find(folder, _names(asked)[0]))

    def _set(self, number: int, asked: bytes) -> bytes:
        valid, _, _, size = struct.unpack_from("<IIQQ", asked)
        node = self._nodes[number]
        if valid & _MODE:
            node.mode = stat.S_IFMT(node.mode) | struct.unpack_from("<I", asked, 68)[0] & 0o7777
        if valid & _SIZE:
            self._change("size")
            self._require_room(size - len(node.data))
            node.truncate(size)
        return self._attributes(number)

    def _make(self, folder: int, name: str, mode: int) -> int:
        self._change("name")
        number = self._add(Node(mode))
        self._nodes[folder].change({name: number})
        return number

    def _mknod(self, folder: int, asked: bytes) -> bytes:
        return self._entry(self._make(folder, _names(asked[16:])[0], struct.unpack_from("<I", asked)[0]))

    def _mkdir(self, folder: int, asked: bytes) -> bytes:
        mode = struct.unpack_from("<I", asked)[0]
        return self._entry(self._make(folder, _names(asked[8:])[0], stat.S_IFDIR | mode))

    def _create(self, folder: int, asked: bytes) -> bytes:
        mode = struct.unpack_from("<II", asked)[1]
        return self._entry(self._make(folder, _names(asked[16:])[0], stat.S_IFREG | mode & 0o7777)) + bytes(16)

    def _link(self, folder: int, asked: bytes) -> bytes:
        self._change("name")
        number = struct.unpack_from("<Q", asked)[0]
        self._nodes[folder].change({_names(asked[8:])[0]: number})
        return self._entry(number)

    def _unlink(self, folder: int, asked: bytes) -> bytes:
        name = _names(asked)[0]
        self._find(folder, name)
        self._change("name")
        self._nodes[folder].change({name: None})
        return b""

    def _rename(self, folder: int, asked: bytes, header: int) -> bytes:
        old, new = _names(asked[header:])
        number = self._find(folder, old)
        if struct.unpack_from("<Q", asked)[0] != folder:
            raise OSError(errno.EXDEV, "not modelled: from one folder to another")
        self._change("name")
        self._nodes[folder].change({old: None, new: number})
        return b""

    def _read(self, number: int, asked: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", asked)
        return bytes(self._nodes[number].data[offset : offset + size])

    def _written(self, number: int, asked: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", asked)
        node = self._nodes[number]
        self._change("write")
        self._require_room(offset + size - len(node.data))
        node.write(offset, asked[40 : 40 + size])
        return struct.pack("<II", size, 0)

    def _sync(self, number: int, _: bytes) -> bytes:
        self._change("sync")
        self._nodes[number].sync()
        return b""

    def _list(self, folder: int, asked: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", asked)
        found = b""
        for place, (name, number) in enumerate(sorted(self._nodes[folder].names.items())):
            encoded = name.encode()
            kind = stat.S_IFMT(self._nodes[number].mode) >> 12
            entry = struct.pack("<QQII", number, place + 1, len(encoded), kind) + encoded
            entry += bytes(-len(entry) % 8)
            if place >= offset and len(found) + len(entry) <= size:
                found += entry
        return found

    # --- room

    def used(self) -> int:
        """Return how many bytes are stored."""
        return sum(len(node.data) for node in self._nodes.values())

    def _require_room(self, more: int) -> None:
        if self.room is not None and more > 0 and self.used() + more > self.room:
            raise OSError(errno.ENOSPC, "no room")

    def _room_left(self) -> bytes:
        free = (_FREE if self.room is None else max(0, self.room - self.used())) // 4096
        return struct.pack("<QQQQQIIII", _FREE // 4096, free, free, 1 << 20, 1 << 20, 4096, 255, 4096, 0) + bytes(24)


def _names(asked: bytes) -> list[str]:
    return [part.decode() for part in asked.split(b"\0")[:-1]]
