"""Everything that can be wrong with a bundle of the small clinic, each with the answer that it must get.

A defect is a function from a sound log to the files of a bundle. Its name says what is wrong; it names the leaf of
`VerificationError` and the first index that must be told (None where no entry is at fault).

Here are the defects of entries, streams, keys and payloads; `signed_defects` and `bundle_defects` have the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tests.ops.written_log import NOTHING, SmallClinic, lp, sha

Files = dict[str, bytes]


class Defect(NamedTuple):
    """What is wrong, and what must be said of it."""

    name: str
    leaf: str
    index: int | None
    make: Callable[[SmallClinic], Files]


DEFECTS: list[Defect] = []


def defect(leaf: str, index: int | None) -> Callable[[Callable[[SmallClinic], Files]], Callable[[SmallClinic], Files]]:
    def add(make: Callable[[SmallClinic], Files]) -> Callable[[SmallClinic], Files]:
        DEFECTS.append(Defect(make.__name__.replace("_", "-"), leaf, index, make))
        return make

    return add


def with_entries(log: SmallClinic, entries: list[bytes], *, tiles: bool = False, **options: bool) -> Files:
    """The log's own bundle, with other entries in it; published hashes, where there are any, stay those of the log."""
    files = log.files(tiles=tiles, **options)
    files[f"tile/entries/000.p/{len(log.entries)}"] = b"".join(map(lp, entries))
    return files


def edited(log: SmallClinic, index: int, at: int, new: bytes) -> list[bytes]:
    entry = log.entries[index]
    return [*log.entries[:index], entry[:at] + new + entry[at + len(new) :], *log.entries[index + 1 :]]


def with_last_bit(log: SmallClinic, index: int) -> list[bytes]:
    """The log's entries, one of them with another content root."""
    return [*log.entries[:index], flipped(log.entries[index]), *log.entries[index + 1 :]]


def flipped(data: bytes) -> bytes:
    """The same bytes with one bit of the last changed; of random bytes, one that is set may be the same as before."""
    return data[:-1] + bytes([data[-1] ^ 1])


# --- entries


@defect("AlteredEntry", 9)
def entry_edited(log: SmallClinic) -> Files:
    return with_entries(log, with_last_bit(log, 9), tiles=True)


@defect("BrokenChain", 6)
def entry_edited_without_published_hashes(log: SmallClinic) -> Files:
    return with_entries(log, with_last_bit(log, 6))


@defect("WrongRoot", 11)
def last_entry_edited_without_published_hashes(log: SmallClinic) -> Files:
    return with_entries(log, with_last_bit(log, 17))


@defect("AlteredEntry", 12)
def entries_reordered(log: SmallClinic) -> Files:
    entries = list(log.entries)
    entries[12:14] = reversed(entries[12:14])
    return with_entries(log, entries, tiles=True)


@defect("TimesFall", 13)
def entries_reordered_without_published_hashes(log: SmallClinic) -> Files:
    entries = list(log.entries)
    entries[12:14] = reversed(entries[12:14])
    return with_entries(log, entries, payloads=False)


@defect("TimesFall", 10)
def time_stands_still(log: SmallClinic) -> Files:
    return with_entries(log, edited(log, 10, 8, log.entries[9][8:16]))


@defect("AlteredEntry", 9)
def entry_taken_out(log: SmallClinic) -> Files:
    return with_entries(log, log.entries[:9] + log.entries[10:], payloads=False, tiles=True)


@defect("MalformedTile", 17)
def last_entry_taken_out(log: SmallClinic) -> Files:
    return with_entries(log, log.entries[:-1])


@defect("AlteredEntry", 9)
def entry_put_in(log: SmallClinic) -> Files:
    return with_entries(log, [*log.entries[:9], log.entries[8], *log.entries[9:17]], tiles=True)


@defect("MalformedTile", 17)
def tile_with_bytes_left_over(log: SmallClinic) -> Files:
    return with_entries(log, [*log.entries, log.entries[-1]])


@defect("MalformedEntry", 9)
def entry_of_another_length(log: SmallClinic) -> Files:
    return with_entries(log, [*log.entries[:9], log.entries[9] + b"\0", *log.entries[10:]])


@defect("MalformedEntry", 9)
def entry_of_another_format(log: SmallClinic) -> Files:
    return with_entries(log, edited(log, 9, 6, b"\2"))


@defect("MalformedEntry", 9)
def entry_of_unknown_kind(log: SmallClinic) -> Files:
    return with_entries(log, edited(log, 9, 7, b"\x08"))


@defect("MalformedEntry", 4)
def key_entry_with_content(log: SmallClinic) -> Files:
    return with_entries(log, edited(log, 4, 125, b"\1"))


@defect("MalformedEntry", 4)
def key_entry_of_unknown_class(log: SmallClinic) -> Files:
    return with_entries(log, edited(log, 4, 88, b"\7"))


@defect("MalformedEntry", 4)
def key_entry_with_a_version(log: SmallClinic) -> Files:
    return with_entries(log, edited(log, 4, 39, b"\1"))


@defect("MalformedEntry", 11)
def epoch_entry_with_a_key(log: SmallClinic) -> Files:
    return with_entries(log, edited(log, 11, 72, b"\1"))


@defect("MalformedEntry", 4)
def key_entry_with_a_digest_of_nothing(log: SmallClinic) -> Files:
    return with_entries(log, edited(log, 4, 93, b"\1"))


@defect("MalformedEntry", 15)
def purge_with_a_length(log: SmallClinic) -> Files:
    return with_entries(log, edited(log, 15, 92, b"\1"))


@defect("AlteredTile", 9)
def published_hash_altered(log: SmallClinic) -> Files:
    files = log.files()
    tile = files["tile/0/000.p/18"]
    return files | {"tile/0/000.p/18": tile[: 32 * 9] + NOTHING + tile[32 * 10 :]}


@defect("MalformedTile", None)
def published_hashes_cut_short(log: SmallClinic) -> Files:
    files = log.files()
    return files | {"tile/0/000.p/18": files["tile/0/000.p/18"][:-1]}


@defect("Incomplete", 0)
def tile_missing(log: SmallClinic) -> Files:
    files = log.files()
    del files["tile/entries/000.p/18"]
    return files


# --- streams and keys, by someone who signs


@defect("BrokenChain", 18)
def version_left_out(log: SmallClinic) -> Files:
    log.heads[log.ann] = (log.heads[log.ann][0] + 1, log.heads[log.ann][1])
    log.note("four")
    return log.files()


@defect("BrokenChain", 18)
def version_given_twice(log: SmallClinic) -> Files:
    log.heads[log.ann] = (log.heads[log.ann][0] - 1, log.heads[log.ann][1])
    log.note("three again")
    return log.files()


@defect("BrokenChain", 12)
def another_entry_named_as_the_one_before(log: SmallClinic) -> Files:
    log.heads[log.ann] = (log.heads[log.ann][0], sha(b"another"))
    log.note("four")
    return log.files()


@defect("BrokenChain", 18)
def first_of_a_stream_names_one_before(log: SmallClinic) -> Files:
    log.heads[log.id()] = (0, sha(b"another"))
    log.event(list(log.heads)[-1], log.ann_key)
    return log.files()


@defect("KeyIsDestroyed", 18)
def event_under_a_destroyed_key(log: SmallClinic) -> Files:
    log.event(log.ben, log.ben_key, "from beyond")
    return log.files()


@defect("UnknownKey", 18)
def event_under_a_key_never_created(log: SmallClinic) -> Files:
    log.event(log.ann, log.id(), "whose?")
    return log.files()


@defect("UnknownKey", 18)
def event_under_a_key_of_another_class(log: SmallClinic) -> Files:
    log.event(log.ann, log.ann_key, "whose?", 2)
    return log.files()


@defect("UnknownKey", 18)
def key_created_twice(log: SmallClinic) -> Files:
    log.enter(3, log.ann, 0, NOTHING, log.ann_key, 1)
    return log.files()


@defect("UnknownKey", 18)
def key_destroyed_twice(log: SmallClinic) -> Files:
    log.destroy(log.ben, log.ben_key)
    return log.files()


@defect("UnknownKey", 18)
def key_of_another_client_destroyed(log: SmallClinic) -> Files:
    log.destroy(log.ben, log.ann_key)
    return log.files()


# --- payloads


@defect("AlteredPayload", 9)
def payload_edited(log: SmallClinic) -> Files:
    files = log.files()
    return files | {"payloads/9": flipped(files["payloads/9"])}


@defect("AlteredPayload", 8)
def payloads_swapped_across_streams(log: SmallClinic) -> Files:
    files = log.files()
    return files | {"payloads/8": files["payloads/9"], "payloads/9": files["payloads/8"]}


@defect("AlteredPayload", 12)
def older_version_in_its_place(log: SmallClinic) -> Files:
    files = log.files()
    return files | {"payloads/12": files["payloads/9"]}


@defect("PurgeUnsaid", 9)
def payload_purged_without_an_entry(log: SmallClinic) -> Files:
    files = log.files()
    return files | {"payloads/9": b"\0" + log.entries[9][72:88] + log.entries[9][93:125]}


@defect("AlteredPayload", 9)
def payload_purged_with_another_digest(log: SmallClinic) -> Files:
    files = log.files()
    return files | {"payloads/9": b"\0" + log.entries[9][72:88] + NOTHING}


@defect("PurgeUnsaid", 15)
def purge_entry_with_another_digest(log: SmallClinic) -> Files:
    again = log.copy(15)
    again.purge(6)
    again.entries[15] = again.entries[15][:93] + sha(b"another") + NOTHING
    return again.files()


@defect("PurgeUnsaid", 18)
def purge_of_what_was_never_there(log: SmallClinic) -> Files:
    log.enter(6, log.ann, 9, NOTHING, log.ann_key, 1, 0, sha(b"another"))
    return log.files()


@defect("MalformedBundle", None)
def payload_of_no_entry(log: SmallClinic) -> Files:
    return log.files() | {"payloads/18": b"x"}


@defect("MalformedBundle", None)
def payload_named_in_two_ways(log: SmallClinic) -> Files:
    return log.files() | {"payloads/09": b"x"}
