r"""The page of an export: one HTML file that people read offline, print, and can check.

Source: AUDIT E1, E2; HTML Standard 13.2 (what a parser does to text); CSP Level 3; WCAG 2.2 AA; decision 48.

What the page holds of the record, precisely, for whoever compares both:

- An element with `data-event="VERSION"` and `data-place="PLACE"` holds one content of record.json. PLACE is the path of
  a segment, or a JSON pointer (RFC 6901; it begins with `/`) into the header of that event. The same content may stand
  more than once; every header and every free text that is shown stands at least once.
- Its content is the value of `data-exact`, read as one JSON string, where it has that attribute; else its text content,
  as an HTML parser gives it. No such element holds another element.
- For a segment the content is the segment's text: its UTF-8 are the stored bytes. For a pointer it is the value itself
  where that is a string, else its JSON text without spaces and without escaping what is not ASCII.
- The text content of a segment's element with `data-exact` is that content as `visible` shows it. Of a pointer's it is
  the value in other words: a date in the clinic's zone, a code's label.

- One file: no request is made, and its policy (`default-src 'none'`) lets it make none. Its one style and one script
  are allowed by their digests.
- All that is not ours is escaped, and stands in a block of its own direction, so that no mark in it reorders the page.
- The same document gives the same bytes. With scripts off everything but the check is there.

The check is `page_check.js`, its form `page_form.js`; how the page looks is `page.css`.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from functools import cache, lru_cache
from pathlib import Path

from projections.export.material import ExportedEvent, ExportedRecord, Shown, Withheld
from projections.export.presented import Entry, Line, Presented, Section
from projections.export.presenting_history import is_header
from projections.export.presenting_words import NAMES, is_technical

_UNSHOWABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")
_MARKUP = re.compile("[&<>\"']")
_json_string = json.JSONEncoder().encode
_CHECK_TITLE = "Check this record"
_STORED_TITLE = "As it is stored"


def to_html(presented: Presented, record: ExportedRecord) -> bytes:
    """Return the page.

    Args:
        presented: what people read.
        record: what it was made from: the headers as they are stored, and what the check needs.
    """
    style, script = _asset("page.css"), _asset("page_check.js") + _asset("page_form.js")
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    title = _ours(presented.title)
    parts = [
        "<!DOCTYPE html>\n",
        f'<html lang="{_ours(presented.language)}">\n<head>\n<meta charset="utf-8">\n',
        f'<meta http-equiv="Content-Security-Policy" content="{_ours(policy)}">\n',
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
        '<meta name="referrer" content="no-referrer">\n<meta name="color-scheme" content="light dark">\n',
        f'<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n<a class="skip" href="#content">',
        'Skip to the record</a>\n<header>\n<h1 dir="auto">',
        f'{title}</h1>\n<p class="clinic" dir="auto">{_ours(presented.clinic)}</p>\n',
        _facts(presented.facts),
        "</header>\n",
        _contents(presented.sections),
        '<main id="content" tabindex="-1">\n',
        *(_section(number, each) for number, each in enumerate(presented.sections, 1)),
        _stored(record),
        _check(),
        "</main>\n",
        f'<script type="application/json" id="entries">{_entries(record)}</script>\n',
        f"<script>{script}</script>\n</body>\n</html>\n",
    ]
    return "".join(parts).encode()


def visible(text: str) -> str:
    """Return a text as an HTML parser keeps it: line ends as line feeds, U+FFFD for what no page may hold."""
    if text.isprintable():
        return text
    return _UNSHOWABLE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def escape(text: str) -> str:
    """Return a text as markup that shows it, for text and attributes."""
    # Most texts hold nothing to escape, and a page of a long record has tens of thousands.
    return text if _MARKUP.search(text) is None else html.escape(text)


@cache
def _asset(name: str) -> str:
    return Path(__file__).with_name(name).read_text("utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _ours(text: str) -> str:
    """Return words that nobody compares, for text and attributes."""
    return escape(visible(text))


@lru_cache(maxsize=NAMES)
def _label(label: str) -> str:
    """Return a label, which is the name of a field and never what it holds."""
    return _ours(label)


@lru_cache(maxsize=NAMES)
def _place(place: str) -> str:
    """Return a place, which is a name of ours or a key that somebody chose, so that it is escaped like any text."""
    return _ours(place)


# --- the parts


def _facts(facts: tuple[tuple[str, str], ...]) -> str:
    rows = "".join(f'<div><dt>{_ours(label)}</dt><dd dir="auto">{_ours(text)}</dd></div>\n' for label, text in facts)
    return f'<dl class="facts">\n{rows}</dl>\n'


def _contents(sections: tuple[Section, ...]) -> str:
    items = "".join(
        f'<li><a href="#part-{number}">{_ours(each.title)}</a></li>\n' for number, each in enumerate(sections, 1)
    )
    last = f'<li id="to-check" hidden><a href="#check">{_CHECK_TITLE}</a></li>\n'
    return f'<nav aria-label="Contents">\n<ol>\n{items}{last}</ol>\n</nav>\n'


def _section(number: int, section: Section) -> str:
    name = f"part-{number}"
    intro = "".join(f'<p dir="auto">{_ours(each)}</p>\n' for each in section.intro)
    entries = "".join(map(_entry, section.entries))
    return (
        f'<section id="{name}" aria-labelledby="{name}-title">\n<h2 id="{name}-title">{_ours(section.title)}</h2>\n'
        f"{intro}{entries}</section>\n"
    )


def _entry(entry: Entry) -> str:
    marks = "".join(f' <span class="mark">{_ours(each)}</span>' for each in entry.marks)
    plain: list[Line] = []
    technical: list[Line] = []
    for line in entry.lines:
        (technical if is_technical(line.place or "") else plain).append(line)
    more = ""
    if technical:
        more = f"<details>\n<summary>Numbers and codes</summary>\n{_lines(entry, technical)}</details>\n"
    return f'<article>\n<h3 dir="auto">{_ours(entry.title)}{marks}</h3>\n{_lines(entry, plain)}{more}</article>\n'


def _lines(entry: Entry, lines: list[Line]) -> str:
    """Return labelled lines as lists of terms, and lines without a label as paragraphs, in their order."""
    parts, is_open, version = [], False, entry.version
    for line in lines:
        label, exact, place = line.label, line.exact, line.place
        if label and not is_open:
            parts.append("<dl>\n")
        elif is_open and not label:
            parts.append("</dl>\n")
        is_open = bool(label)
        if line.file is not None:
            content = f'<a href="{_ours(line.file)}">{_ours(line.text or line.file)}</a>'
        elif exact is None or place is None or version is None:
            content = f'<bdi dir="auto">{_ours(line.text or "")}</bdi>'
        else:
            content = _exact(version, place, exact, line.text)
        parts.append(f"<div><dt>{_label(label)}</dt><dd>{content}</dd></div>\n" if is_open else f"<p>{content}</p>\n")
    return "".join(parts) + ("</dl>\n" if is_open else "")


def _exact(version: int, place: str, exact: str, text: str | None = None) -> str:
    """Return the element that holds one content of the record, as the rules above say."""
    shown = visible(exact if text is None else text)
    kept = "" if shown == exact else f' data-exact="&quot;{escape(_json_string(exact)[1:-1])}&quot;"'
    return f'<bdi dir="auto" data-event="{version}" data-place="{_place(place)}"{kept}>{escape(shown)}</bdi>'


def _stored(record: ExportedRecord) -> str:
    """Return the headers as they are stored, which whoever checks a digest needs to the letter."""
    rows = "".join(
        f"<div><dt>Entry {event.recorded.version}</dt><dd>"
        f"{_exact(event.recorded.version, part.path, part.content.decode())}</dd></div>\n"
        for event in record.events
        for part in event.segments
        if isinstance(part, Shown) and is_header(part.path)
    )
    return (
        f'<section id="stored" aria-labelledby="stored-title">\n<h2 id="stored-title">{_STORED_TITLE}</h2>\n'
        "<p>The same facts to the letter, for programs that check this record. You need not read them.</p>\n"
        f"<details>\n<summary>Show them</summary>\n<dl>\n{rows}</dl>\n</details>\n</section>\n"
    )


# --- the check


def _check() -> str:
    """Return the form of the check; it is hidden until the script that answers it runs."""
    return (
        f'<section id="check" aria-labelledby="check-title" hidden>\n<h2 id="check-title">{_CHECK_TITLE}</h2>\n'
        "<p>This compares what you read here with the log of the clinic. You need three files of the folder that this "
        "page came in, and the fingerprint on the papers that the clinic gave you. Nothing leaves your computer.</p>\n"
        "<p>Whoever could change this page could change its check too. If much depends on it, run "
        "<code>verify.py</code>, from a copy that you did not get with this page.</p>\n"
        '<form id="check-form">\n'
        '<p><label for="check-log">The file <code>proof/log.json</code></label>'
        '<input type="file" id="check-log"></p>\n'
        '<p><label for="check-checkpoint">The file <code>proof/checkpoint</code></label>'
        '<input type="file" id="check-checkpoint"></p>\n'
        '<p><label for="check-genesis">The file <code>proof/bodies/0</code></label>'
        '<input type="file" id="check-genesis"></p>\n'
        '<p><label for="check-fingerprint">The fingerprint on your papers</label>'
        '<input type="text" id="check-fingerprint" autocomplete="off" spellcheck="false" maxlength="200"></p>\n'
        '<p><button type="submit">Check</button></p>\n</form>\n'
        '<div id="check-answer" role="status" aria-live="polite"></div>\n</section>\n'
    )


def _entries(record: ExportedRecord) -> str:
    """Return what the check compares with: entries of the log, salts and digests, and none of the content."""
    held = {
        "format": "wellkept-page/1",
        "stream": record.client_id.hex,
        "events": [_entry_of(each) for each in record.events],
    }
    # A script element ends at the first `</script`, wherever that stands.
    return json.dumps(held, separators=(",", ":")).replace("<", "\\u003c")


def _entry_of(event: ExportedEvent) -> dict[str, object]:
    return {
        "version": event.recorded.version,
        "index": event.recorded.index,
        "entry": base64.b64encode(event.entry).decode("ascii"),
        "segments": [
            {"digest": part.digest.hex()}
            if isinstance(part, Withheld)
            else {"path": part.path, "salt": part.salt.hex()}
            for part in event.segments
        ],
    }
