"""Reads a page of an export back, by the words in `projections/export/page.py` and with the parser of Python alone."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "input"}


class ReadPage(HTMLParser):
    """A parsed page.

    Attributes:
        elements: the elements that hold content, as the check in the page takes them.
        shape: each start tag with the names of its attributes, in their order.
        texts: the text of each `script` and `style`, in their order.
        links: the fragments that links lead to.
        ids: ids of elements.
    """

    def __init__(self, page: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[dict[str, Any]] = []
        self.shape: list[tuple[str, tuple[str, ...]]] = []
        self.texts: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(page.decode())
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        facts = dict(attrs)
        assert len(facts) == len(attrs)
        self.tags.append((tag, facts))
        self.shape.append((tag, tuple(name for name, _ in attrs if name != "data-exact")))
        if tag not in VOID:
            self._open.append(tag)
        if tag in ("script", "style"):
            self.texts.append("")
        if "data-event" in facts:
            self.elements.append(
                {
                    "version": facts["data-event"],
                    "place": facts["data-place"],
                    "exact": facts.get("data-exact"),
                    "text": "",
                    "nested": False,
                }
            )

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self._open:
            assert not data.strip()
        elif self._open[-1] in ("script", "style"):
            self.texts[-1] += data
        elif self._open[-1] == "bdi" and "data-event" in self.tags[-1][1]:
            self.elements[-1]["text"] += data

    def contents(self) -> dict[tuple[int, str], set[str]]:
        """Return the contents that stand for each version and place."""
        found: dict[tuple[int, str], set[str]] = {}
        for each in self.elements:
            content = each["text"] if each["exact"] is None else json.loads(each["exact"])
            found.setdefault((int(each["version"]), each["place"]), set()).add(content)
        return found

    @property
    def held(self) -> Any:
        """What the page holds for its check."""
        return json.loads(self.texts[1])
