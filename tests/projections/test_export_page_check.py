"""The check in the page: it finds each alteration, names the entry, and never says that all is well before the end.

The answers are those of `page_check.js` itself, run by node on what Python's parser reads from the page; and by
Chromium on the page as it stands. The log is written from the layouts alone (`tests.ops.written_log`).
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

import projections.export
from projections.export.page import to_html
from projections.export.presenting import present
from records.notes import NoteSigned
from records.store.mapper import Unreadable
from tests.ops.written_log import sha
from tests.projections.exported import NOTE, ExportedLog, every_topic, stamp, story, story_log
from tests.projections.page_read import ReadPage
from tests.projections.test_export_page import HOSTILE, page_of

pytestmark = pytest.mark.slow
"""Each test starts node or Chromium, which a machine that runs the service need not have."""

SCRIPT = Path(projections.export.__file__).with_name("page_check.js")
RUN = """
const { answer } = require(process.argv[1]);
const bytes = (text) => Uint8Array.from(Buffer.from(text, "base64"));
const given = JSON.parse(require("node:fs").readFileSync(0, "utf-8"));
(async () => {
  const answers = [];
  for (const one of given) {
    const files = one.files && { log: one.files.log, checkpoint: bytes(one.files.checkpoint),
      genesis: bytes(one.files.genesis) };
    // What an old browser lacks.
    if (one.without === "importKey") {
      crypto.subtle.importKey = async () => { throw new DOMException("Unrecognized name.", "NotSupportedError"); };
    } else if (one.without === "subtle") {
      Object.defineProperty(globalThis, "crypto", { value: {} });
    }
    answers.push(await answer(one.held, one.elements, files, one.fingerprint));
  }
  console.log(JSON.stringify(answers));
})();
"""


def case(log: ExportedLog, *, files: bool = True, fingerprint: str | None = None) -> dict[str, Any]:
    """Return what the check is given for a log: its page as it was read, the reader's files and fingerprint."""
    record = log.record()
    read = ReadPage(to_html(present(record), record))
    proof = log.proof()
    given = {"log": proof["log"].decode()}
    given |= {name: base64.b64encode(proof[name]).decode() for name in ("checkpoint", "genesis")}
    return {
        "held": read.held,
        "elements": read.elements,
        "files": given if files else None,
        "fingerprint": log.fingerprint if fingerprint is None else fingerprint,
    }


def answers(*cases: dict[str, Any]) -> list[dict[str, Any]]:
    done = subprocess.run(
        ["node", "-e", RUN, str(SCRIPT)],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def words(answer: dict[str, Any]) -> str:
    return " ".join([answer["title"], *answer["words"]])


def test_with_everything_it_says_what_was_checked_and_what_was_not() -> None:
    log = story_log()
    (found,) = answers(case(log, fingerprint=f" {log.fingerprint[:32].upper()}: {log.fingerprint[32:]} "))

    assert found["state"] == "matches"
    assert f"the log of {len(log.entries)} entries" in words(found)
    assert "Only verify.py checks" in words(found)


def test_every_topic_with_every_field_matches() -> None:
    assert [each["state"] for each in answers(case(every_topic()))] == ["matches"]


def test_without_a_fingerprint_it_is_unpinned_and_without_files_consistent_only() -> None:
    log = story_log()
    unpinned, consistent = answers(case(log, fingerprint="  "), case(log, files=False))

    assert unpinned["state"] == "unpinned"
    assert "Unpinned: this may be a log that anybody made." in words(unpinned)
    assert consistent["state"] == "consistent"
    for found in (unpinned, consistent):
        assert "verified" not in words(found).lower()
        assert "No difference" not in words(found)


def test_parts_that_are_left_out_and_entries_that_cannot_be_opened_are_told() -> None:
    log = story_log()
    log.add(NoteSigned(note_id=NOTE, kind="progress", format="free", sections={"text": "x"}, **stamp(20)), "unreadable")
    made = log.add(Unreadable(**stamp(21)), "unreadable")
    assert made.recorded.version == 13
    (found,) = answers(case(log))

    assert found["state"] == "matches"
    assert "3 parts are left out; nobody can compare what they say." in found["words"]
    assert "Nothing of entry 12, 13 is shown, so nothing of it was compared." in found["words"]


def element(given: dict[str, Any], version: int, place: str) -> dict[str, Any]:
    return [each for each in given["elements"] if each["version"] == str(version) and each["place"] == place][-1]


def alter_text(given: dict[str, Any]) -> None:
    for each in given["elements"]:
        each["text"] = each["text"].replace("Sleep diary until next week.", "Sleep diary until next year.")


def alter_one_of_two(given: dict[str, Any]) -> None:
    element(given, 9, "sections/plan")["text"] = "Nothing."


def alter_fact(given: dict[str, Any]) -> None:
    for each in given["elements"]:
        if (each["version"], each["place"]) == ("10", "/level"):
            each["exact"] = '"low"'


def alter_number(given: dict[str, Any]) -> None:
    element(given, 6, "/value")["text"] = "9"


def drop_text(given: dict[str, Any]) -> None:
    given["elements"] = [each for each in given["elements"] if each["place"] != "details/ideation"]


def drop_fact(given: dict[str, Any]) -> None:
    given["elements"] = [each for each in given["elements"] if each["place"] != "/findings/ideation"]


def add_fact(given: dict[str, Any]) -> None:
    given["elements"].append(element(given, 10, "/level") | {"place": "/findings/intent"})


def add_text(given: dict[str, Any]) -> None:
    given["elements"].append(element(given, 10, "formulation") | {"place": "who_told"})


def add_entry(given: dict[str, Any]) -> None:
    given["elements"].append(element(given, 10, "formulation") | {"version": "99"})


def alter_header(given: dict[str, Any]) -> None:
    found = element(given, 10, "v1")
    found["text"] = found["text"].replace('"moderate"', '"low"')
    alter_fact(given)


def show_other_than_exact(given: dict[str, Any]) -> None:
    found = element(given, 7, "sections/plan")
    found["exact"], found["text"] = json.dumps(found["text"]), "Nothing."


def nest(given: dict[str, Any]) -> None:
    element(given, 7, "sections/plan")["nested"] = True


def drop_event(given: dict[str, Any]) -> None:
    del given["held"]["events"][6]
    given["elements"] = [each for each in given["elements"] if each["version"] != "7"]


def swap_events(given: dict[str, Any]) -> None:
    events = given["held"]["events"]
    events[6], events[7] = events[7], events[6]


def alter_salt(given: dict[str, Any]) -> None:
    given["held"]["events"][6]["segments"][0]["salt"] = "00" * 32


def other_stream(given: dict[str, Any]) -> None:
    given["held"]["stream"] = "11" * 16


PAGE: list[tuple[Callable[[dict[str, Any]], None], str]] = [
    (alter_text, "(entry 7, v1, sections/subjective, sections/plan)"),
    (alter_one_of_two, "two different things in one place (entry 9, sections/plan)"),
    (alter_fact, "(entry 10, /level)"),
    (alter_number, "(entry 6, /value)"),
    (drop_text, "(entry 10, details/ideation)"),
    (drop_fact, "(entry 10, /findings/ideation)"),
    (add_fact, "(entry 10, /findings/intent)"),
    (add_text, "(entry 10, who_told)"),
    (add_entry, "(entry 99)"),
    (alter_header, "(entry 10, v1"),
    (show_other_than_exact, "(entry 7, sections/plan)"),
    (nest, "another form"),
    (drop_event, "(entry 8)"),
    (swap_events, "(entry 8)"),
    (alter_salt, "(entry 7"),
    (other_stream, "(entry 1)"),
]


def test_each_alteration_of_the_page_is_a_difference_that_names_the_entry() -> None:
    plain = case(story_log())
    cases = [deepcopy(plain) for _ in PAGE]
    for given, (alter, _) in zip(cases, PAGE, strict=True):
        alter(given)

    for found, (alter, named) in zip(answers(*cases), PAGE, strict=True):
        assert (alter.__name__, found["state"]) == (alter.__name__, "differs")
        assert named in words(found)


def edit_log(given: dict[str, Any], edit: Callable[[dict[str, Any]], None]) -> None:
    log = json.loads(given["files"]["log"])
    edit(log)
    given["files"]["log"] = json.dumps(log)


def edit_bytes(given: dict[str, Any], name: str, old: bytes, new: bytes) -> None:
    data = base64.b64decode(given["files"][name])
    assert data.count(old) == 1
    given["files"][name] = base64.b64encode(data.replace(old, new)).decode()


def forged_log(given: dict[str, Any]) -> None:
    """A log of somebody else, whole in itself, with the same page made over it."""
    other = ExportedLog()
    other.log_key = other.pair(5).classic
    other.entries, other.bodies, other.heads, other.epoch = [], {}, {}, 0
    other.last_turn = bytes(32)
    other.turn()
    other.client_key = other.key(bytes(16))
    for event in story():
        other.add(event)
    given |= case(other) | {"fingerprint": given["fingerprint"]}


FILES: list[tuple[str, Callable[[dict[str, Any]], None], str, str]] = [
    ("other log", forged_log, "differs", "fingerprint is on your papers"),
    ("hash of another leaf", lambda given: edit_log(
        given, lambda log: log["hashes"].__setitem__(0, base64.b64encode(sha(b"x")).decode())),
     "differs", "not those of the signed log"),
    ("hash too many", lambda given: edit_log(given, lambda log: log["hashes"].append(log["hashes"][0])),
     "unreadable", "too many hashes"),
    ("hash too few", lambda given: edit_log(given, lambda log: log["hashes"].pop()), "unreadable", "too few hashes"),
    ("entry missing", lambda given: edit_log(given, lambda log: log["entries"].pop("8")), "differs", "(entry 7)"),
    ("entry of another", lambda given: edit_log(
        given, lambda log: log["entries"].__setitem__("8", log["entries"]["9"])), "differs", "(entry 7)"),
    ("no genesis entry", lambda given: edit_log(given, lambda log: log["entries"].pop("0")), "differs", "not those of"),
    ("size", lambda given: edit_log(given, lambda log: log.__setitem__("size", log["size"] + 1)),
     "differs", "different size"),
    ("not JSON", lambda given: given["files"].__setitem__("log", "{"), "unreadable", "not JSON"),
    ("another size", lambda given: edit_bytes(given, "checkpoint", b"\n17\n", b"\n18\n"), "differs", "size"),
    ("genesis cut short", lambda given: given["files"].__setitem__("genesis", base64.b64encode(b"WKEPOCH\1").decode()),
     "unreadable", "cut short"),
    ("no note", lambda given: given["files"].__setitem__("checkpoint", base64.b64encode(b"x\n").decode()),
     "unreadable", "another form"),
    ("fingerprint of another", lambda given: given.__setitem__("fingerprint", "ab" * 32), "differs", "on your papers"),
    ("no fingerprint", lambda given: given.__setitem__("fingerprint", "abc"), "unreadable", "64 digits"),
]  # fmt: skip


def test_each_alteration_of_the_files_is_found() -> None:
    plain = case(story_log())
    cases = [deepcopy(plain) for _ in FILES]
    for given, (_, alter, _, _) in zip(cases, FILES, strict=True):
        alter(given)

    for found, (name, _, state, told) in zip(answers(*cases), FILES, strict=True):
        assert (name, found["state"]) == (name, state)
        assert told in words(found)


def test_a_log_that_anybody_made_is_whole_and_still_nobodys() -> None:
    given = case(story_log())
    forged_log(given)
    (found,) = answers(given | {"fingerprint": ""})

    assert found["state"] == "unpinned"


def test_a_proof_that_leaves_the_genesis_out_is_not_enough() -> None:
    log = story_log()
    given = case(log)
    given["files"]["log"] = log.shared_proof(each.recorded.index for each in log.events).decode()
    (found,) = answers(given)

    assert (found["state"], found["words"]) == ("differs", ["The log does not begin with this genesis."])


def test_a_browser_that_cannot_check_the_signature_says_so() -> None:
    (found,) = answers(case(story_log()) | {"without": "importKey"})

    assert found["state"] == "unsupported"
    assert found["words"] == ["This browser cannot check Ed25519 signatures.", "Use verify.py."]


def test_a_browser_that_cannot_compute_digests_says_so() -> None:
    (found,) = answers(case(story_log()) | {"without": "subtle"})

    assert found["state"] == "unsupported"


def signed_anew(log: ExportedLog, *, root: bytes | None = None, spoil: bool = False, origin: str | None = None) -> str:
    """A checkpoint of another root or origin by the log's own key, or one whose signature was touched."""
    log.origin = origin or log.origin
    note = log.checkpoint(root=root).decode()
    first, _, rest = note.partition(f"— {log.origin} ")
    line, _, others = rest.partition("\n")
    blob = bytearray(base64.b64decode(line))
    blob[-1] ^= spoil
    whole = f"{first}— {log.origin} {base64.b64encode(bytes(blob)).decode()}\n{others}"
    return base64.b64encode(whole.encode()).decode()


def test_a_checkpoint_that_says_other_things_or_is_not_signed_is_found() -> None:
    log = story_log()
    cases = [case(log) for _ in range(3)]
    cases[0]["files"]["checkpoint"] = signed_anew(log, spoil=True)
    cases[1]["files"]["checkpoint"] = signed_anew(log, root=sha(b"another"))
    cases[2]["files"]["checkpoint"] = signed_anew(log, origin="wellkept/log/another")

    assert [(found["state"], found["words"]) for found in answers(*cases)] == [
        ("differs", ["The signature of the checkpoint does not hold."]),
        ("differs", ["The entries are not those of the signed log."]),
        ("differs", ["The checkpoint is of another log than the genesis."]),
    ]


def test_a_checkpoint_by_another_key_is_found_even_where_no_fingerprint_is_given() -> None:
    log = story_log()
    given = case(log, fingerprint="")
    log.log_key = log.pair(3).classic
    given["files"]["checkpoint"] = base64.b64encode(log.checkpoint()).decode()
    (found,) = answers(given)

    assert (found["state"], found["words"]) == ("differs", ["The checkpoint is not signed by the log's key."])


def chromium(page: bytes, folder: Path) -> str:
    """Return the page as Chromium has it after its script ran."""
    program = shutil.which("chromium")
    assert program is not None, "this test drives Chromium"
    (folder / "record.html").write_bytes(page)
    command = [program, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    command += ["--virtual-time-budget=10000", "--dump-dom", (folder / "record.html").as_uri()]
    return subprocess.run(command, capture_output=True, timeout=120, check=True).stdout.decode()


def hostile_log() -> ExportedLog:
    log = ExportedLog()
    log.add(story()[0])
    for text in HOSTILE:
        log.add(NoteSigned(note_id=NOTE, kind="progress", format="free", sections={"text": text}, **stamp(1)))
    return log


def test_a_browser_reads_back_what_a_hostile_record_holds(tmp_path: Path) -> None:
    dom = chromium(page_of(hostile_log().record()), tmp_path)

    assert 'data-state="consistent"' in dom
    assert "alert(1)" not in dom.replace("&lt;script&gt;alert(1)", "").replace("='alert(1)'", "")


def test_a_browser_finds_a_text_that_was_altered(tmp_path: Path) -> None:
    page = page_of(story_log().record())
    dom = chromium(page.replace(b"Sleep diary until next week.", b"Sleep diary until next year."), tmp_path)

    assert 'data-state="differs"' in dom
    assert "There is a difference. Do not rely on this page." in dom
    assert "(entry 7, v1, sections/subjective, sections/plan)" in dom


def test_a_script_that_was_put_into_the_page_does_not_run(tmp_path: Path) -> None:
    page = page_of(story_log().record())
    put = b"<script>document.title = 'run'</script></body>"
    dom = chromium(page.replace(b"</body>", put), tmp_path)

    assert "<title>Health record of Ann Example</title>" in dom


PICK = """<script>
const pick = (name, text) => {
  const chosen = new DataTransfer();
  chosen.items.add(new File([Uint8Array.from(atob(text), (one) => one.charCodeAt(0))], name));
  document.getElementById(`check-${name}`).files = chosen.files;
};
for (const [name, text] of Object.entries(FILES)) pick(name, text);
document.getElementById("check-fingerprint").value = "FINGERPRINT";
document.getElementById("check-form").requestSubmit();
</script></body>"""
"""What a reader does by hand. The page's policy would not run it, so the test takes the policy out."""


def picked(log: ExportedLog, fingerprint: str, **files: bytes) -> bytes:
    page = page_of(log.record())
    policy = page[page.index(b"<meta http-equiv") : page.index(b'<meta name="viewport"')]
    given = {name: base64.b64encode(data).decode() for name, data in (log.proof() | files).items()}
    script = PICK.replace("FILES", json.dumps(given)).replace("FINGERPRINT", fingerprint)
    return page.replace(policy, b"").replace(b"</body>", script.encode())


def test_a_browser_checks_the_files_that_the_reader_picks(tmp_path: Path) -> None:
    log = story_log()

    assert 'data-state="matches"' in chromium(picked(log, log.fingerprint), tmp_path)
    assert 'data-state="unpinned"' in chromium(picked(log, ""), tmp_path)
    assert 'data-state="differs"' in chromium(picked(log, "ab" * 32), tmp_path)


def test_a_browser_finds_a_signature_that_does_not_hold(tmp_path: Path) -> None:
    log = story_log()
    dom = chromium(picked(log, log.fingerprint, checkpoint=base64.b64decode(signed_anew(log, spoil=True))), tmp_path)

    assert "The signature of the checkpoint does not hold." in dom
