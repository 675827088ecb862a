"""Everything that can be wrong with the bundle of a record, each with the answer that it must get.

A defect is a function from a sound log to the files of a bundle. Its name says what is wrong; it names the leaf of
`VerificationError` and the index that must be told (None where no entry is at fault, but a file).

Three hands are told apart: who alters a file on the way, who makes the manifest anew as well (both here), and a clinic
that lies before it releases (`released_defects`, with the defects of the proof).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.ops.written_log import sha
from tests.ops.written_record import FREE, Files, Json, SmallRecord, b64, plain, with_manifest


class Defect(NamedTuple):
    """What is wrong, and what must be said of it."""

    name: str
    leaf: str
    index: int | None
    make: Callable[[SmallRecord], Files]


DEFECTS: list[Defect] = []
Make = Callable[[SmallRecord], Files]


def defect(leaf: str, index: int | None = None) -> Callable[[Make], Make]:
    def add(make: Make) -> Make:
        DEFECTS.append(Defect(make.__name__.replace("_", "-"), leaf, index, make))
        return make

    return add


def edited(files: Files, name: str, edit: Callable[[Any], object]) -> Files:
    """The files with a JSON document altered, and no manifest made anew."""
    document = json.loads(files[name])
    edit(document)
    return files | {name: plain(document)}


def replaced(files: Files, name: str, old: str, new: str) -> Files:
    assert old.encode() in files[name], "the defect has something to alter"
    return files | {name: files[name].replace(old.encode(), new.encode())}


# --- files


def _byte_flipped(name: str) -> Make:
    def make(log: SmallRecord) -> Files:
        files = log.files()
        return files | {name: files[name][:-2] + bytes([files[name][-2] ^ 1]) + files[name][-1:]}

    make.__name__ = f"byte flipped in {name}"
    return make


def _missing(name: str) -> Make:
    def make(log: SmallRecord) -> Files:
        files = log.files()
        del files[name]
        return files

    make.__name__ = f"{name} missing"
    return make


OUTER = ("README.txt", "record.html", "record.json", "fhir.json", "verify.py", *FREE)
for each in OUTER:
    defect("AlteredFile")(_byte_flipped(each))
for each in (*OUTER, "manifest.json", "proof/checkpoint", "proof/log.json", "proof/heads.json", "proof/release.json"):
    defect("Incomplete")(_missing(each))
defect("Incomplete")(_missing("proof/bodies/0"))
defect("WrongEpoch", 14)(_missing("proof/bodies/9"))
defect("MalformedNote")(_byte_flipped("proof/checkpoint"))
defect("MalformedBody", 9)(_byte_flipped("proof/bodies/9"))


@defect("SignatureMissing")
def newest_epoch_missing(log: SmallRecord) -> Files:
    return _missing("proof/bodies/14")(log)


@defect("MalformedBundle")
def file_too_many(log: SmallRecord) -> Files:
    return log.files() | {"letter.txt": b"Dear Ann"}


@defect("MalformedBundle")
def file_too_many_in_a_folder(log: SmallRecord) -> Files:
    return log.files() | {"more/letter.txt": b"Dear Ann"}


@defect("MalformedBundle")
def file_too_many_in_the_proof(log: SmallRecord) -> Files:
    return log.files() | {"proof/note": b"?"}


@defect("WrongEpoch", 10)
def body_of_an_event(log: SmallRecord) -> Files:
    return log.files() | {"proof/bodies/10": b"?"}


@defect("MalformedRecord")
def manifest_with_a_file_that_leads_out(log: SmallRecord) -> Files:
    return edited(log.files(), "manifest.json", lambda told: told["files"][0].update(name="../x"))


@defect("MalformedRecord")
def manifest_with_an_absolute_file(log: SmallRecord) -> Files:
    return edited(log.files(), "manifest.json", lambda told: told["files"][0].update(name="/etc/passwd"))


@defect("MalformedRecord")
def manifest_with_a_file_twice(log: SmallRecord) -> Files:
    return edited(log.files(), "manifest.json", lambda told: told["files"].append(told["files"][0]))


@defect("MalformedRecord")
def manifest_without_a_file(log: SmallRecord) -> Files:
    return edited(log.files(), "manifest.json", lambda told: told["files"].pop(0))


@defect("Incomplete")
def manifest_with_a_file_that_is_not_there(log: SmallRecord) -> Files:
    more = {"name": "record.pdf", "bytes": 0, "sha256": sha(b"").hex()}
    return edited(log.files(), "manifest.json", lambda told: told["files"].append(more))


@defect("MalformedRecord")
def manifest_of_another_format(log: SmallRecord) -> Files:
    return edited(log.files(), "manifest.json", lambda told: told.update(format="wellkept-record/2"))


@defect("MalformedRecord")
def manifest_with_a_key_twice(log: SmallRecord) -> Files:
    return replaced(log.files(), "manifest.json", '"at":', '"at": 18, "at":')


@defect("FilesDisagree")
def manifest_of_another_time(log: SmallRecord) -> Files:
    return edited(log.files(), "manifest.json", lambda told: told.update(as_of="2020-01-01T00:00:00Z"))


@defect("WrongRelease", 19)
def manifest_written_anew(log: SmallRecord) -> Files:
    return edited(log.files(), "manifest.json", lambda told: None)


# --- a word altered on the way, and the manifest made anew


@defect("AlteredText", 7)
def word_of_the_record_altered(log: SmallRecord) -> Files:
    return with_manifest(replaced(log.files(), "record.json", "Call <the GP>", "Call <the RN>"))


@defect("FilesDisagree", 7)
def word_of_the_page_altered(log: SmallRecord) -> Files:
    return with_manifest(replaced(log.files(), "record.html", "Slept well", "Slept badly"))


@defect("FilesDisagree", 4)
def value_of_the_page_altered(log: SmallRecord) -> Files:
    return with_manifest(replaced(log.files(), "record.html", "41", "14"))


@defect("FilesDisagree", 16)
def text_of_the_page_taken_out(log: SmallRecord) -> Files:
    return with_manifest(replaced(log.files(), "record.html", ' data-event="6" data-place="text"', ""))


@defect("FilesDisagree", 16)
def header_of_the_page_taken_out(log: SmallRecord) -> Files:
    return with_manifest(replaced(log.files(), "record.html", ' data-event="6" data-place="v1"', ""))


@defect("FilesDisagree")
def page_with_an_event_of_its_own(log: SmallRecord) -> Files:
    more = '<p data-event="9" data-place="text">More.</p></body>'
    return with_manifest(replaced(log.files(), "record.html", "</body>", more))


@defect("FilesDisagree", 7)
def page_with_a_place_of_its_own(log: SmallRecord) -> Files:
    more = '<p data-event="2" data-place="/mood">More.</p></body>'
    return with_manifest(replaced(log.files(), "record.html", "</body>", more))


@defect("FilesDisagree", 11)
def page_with_a_text_that_is_withheld(log: SmallRecord) -> Files:
    more = '<p data-event="4" data-place="text">About somebody else.</p></body>'
    return with_manifest(replaced(log.files(), "record.html", "</body>", more))


def on_page(leaf: str, index: int | None, old: str, new: str, name: str) -> None:
    def make(log: SmallRecord) -> Files:
        return with_manifest(replaced(log.files(), "record.html", old, new))

    make.__name__ = name
    defect(leaf, index)(make)


on_page("MalformedRecord", None, "</html>", "<html", "page that is cut short")
on_page("MalformedRecord", None, "Slept well.</bdi>", "Slept well.</p>", "marked element left open")
on_page("MalformedRecord", None, "Slept well.", "Slept <b>well.</b>", "marked element with another in it")
on_page("MalformedRecord", None, "Slept well.", "Slept <!-- not --> well.", "page with a comment")
on_page("MalformedRecord", None, "<br>", "<textarea>", "page with an element that swallows others")
on_page("MalformedRecord", None, "<br>", "<br class='x'>", "page with an attribute in other quotes")
on_page("MalformedRecord", None, '"<p>"', '"<!--"', "page with a script that opens a comment")
on_page("MalformedRecord", None, "\n</body>", "\r</body>", "page with a line end that browsers alter")
on_page(
    "FilesDisagree", 7, ">Slept well.", ' data-exact="&quot;Slept well.&quot;">No sleep.', "words beside the exact ones"
)


@defect("MalformedRecord")
def page_with_an_element_marked_by_half(log: SmallRecord) -> Files:
    return with_manifest(replaced(log.files(), "record.html", ' data-place="text"', ""))


@defect("MalformedRecord")
def page_with_an_element_marked_twice(log: SmallRecord) -> Files:
    return with_manifest(replaced(log.files(), "record.html", 'data-event="6"', 'data-event="5" data-event="6"'))


@defect("MalformedRecord")
def page_that_is_not_utf_8(log: SmallRecord) -> Files:
    files = log.files()
    return with_manifest(files | {"record.html": files["record.html"] + b"\xff"})


@defect("WrongRelease", 19)
def words_of_ours_on_the_page_altered(log: SmallRecord) -> Files:
    return with_manifest(replaced(log.files(), "record.html", "in other", "in an other"))


@defect("WrongRelease", 19)
def code_in_fhir_altered(log: SmallRecord) -> Files:
    return with_manifest(replaced(log.files(), "fhir.json", '"document"', '"collection"'))


def in_fhir(leaf: str, index: int | None, edit: Callable[[Any], object], name: str) -> None:
    def make(log: SmallRecord) -> Files:
        return with_manifest(edited(log.files(), "fhir.json", lambda told: edit(told["entry"])))

    make.__name__ = name
    defect(leaf, index)(make)


def exact(told: Json) -> Json:
    found: Json = told["resource"]["_title"]["extension"][0]["valueAttachment"]
    return found


WRONG = {"data": b64(b"Another.")}
in_fhir("FilesDisagree", 7, lambda told: told[0]["resource"].update(description="No."), "text in fhir altered")
in_fhir("FilesDisagree", 7, lambda told: told[1]["resource"]["extension"][0]["extension"][0].update(valueString="No."),
        "part in fhir altered")  # fmt: skip
in_fhir("FilesDisagree", 10, lambda told: told[2]["resource"]["content"][0]["attachment"].update(WRONG),
        "attachment in fhir altered")  # fmt: skip
in_fhir("FilesDisagree", 16, lambda told: exact(told[3]).update(WRONG),
        "exact text in fhir altered")  # fmt: skip
in_fhir("FilesDisagree", 10, lambda told: told.pop(2), "text in fhir left out")
in_fhir("FilesDisagree", None, lambda told: told.append(told[0]), "text in fhir twice")
in_fhir("MalformedRecord", None, lambda told: told[0]["resource"].pop("description"), "name of a text in fhir alone")
in_fhir("MalformedRecord", None, lambda told: told[0]["resource"]["_description"]["extension"].append(
    told[1]["resource"]["extension"][0]["extension"][1]), "text in fhir with two names")  # fmt: skip
in_fhir("MalformedRecord", None, lambda told: told[1]["resource"]["extension"][0]["extension"].append(
    {"url": "more", "valueString": "x"}), "part in fhir with two texts")  # fmt: skip
in_fhir("MalformedRecord", None, lambda told: told[2]["resource"]["content"][0]["attachment"].update(data="?"),
        "attachment in fhir that is no base64")  # fmt: skip


@defect("MalformedRecord")
def fhir_that_is_no_json(log: SmallRecord) -> Files:
    return with_manifest(log.files() | {"fhir.json": b"{"})


@defect("WrongRelease", 19)
def verifier_exchanged(log: SmallRecord) -> Files:
    return with_manifest(log.files() | {"verify.py": b"print('ok')\n"})


@defect("WrongRelease", 19)
def name_of_staff_altered(log: SmallRecord) -> Files:
    return with_manifest(replaced(log.files(), "record.json", "Dr Ray", "Dr Roy"))
