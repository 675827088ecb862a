"""The verifier that lies in every bundle as `verify.py`: one readable file, put together from the parts it has here.

Source: CRYPTO 4; the decisions on the verifier and on exports.

- It needs Python and `cryptography`, and nothing of ours.
- Of `ops.verify` it has what the check of a record or of one event needs, with docstrings and comments as they stand;
  of the parts for these it has everything. Definitions keep their order, so that it reads as they do.
- The same parts give the same bytes; a name that two parts define is an error.

It is a text and is never imported by what serves a clinic.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

WHOLE_LOGS = "verify.py"
PARTS = (
    "bundle.py",
    "attached.py",
    "pages.py",
    "fhir.py",
    "log.py",
    "run.py",
    "event.py",
    "record.py",
)
"""In this order: each needs only those before it."""
COMMENT = (
    "# This file is put together from the sources of Wellkept: it has all that a check of one record or event needs.\n"
    "# It may be read from top to bottom; numbers in brackets are the steps of the plan above.\n"
)


class Definition(NamedTuple):
    """A statement at the top of a part.

    Attributes:
        heading: the comment that names the section it stands in; may be empty.
        text: its lines, with the comments above it and the text below that tells of it.
        is_block: whether it is a class, a function or the last line, around which two lines stay empty.
        names: what it defines; nothing for the last line, which runs the command.
        uses: the names in it.
    """

    heading: str
    text: str
    is_block: bool
    names: frozenset[str]
    uses: frozenset[str]


@cache
def one_file() -> bytes:
    """Return the file as UTF-8.

    Raises:
        ValueError: two parts define one name, so that one would hide the other.
    """
    folder = Path(__file__).parent
    log, *parts = (_read(path) for path in (folder.parent / WHOLE_LOGS, *(folder / name for name in PARTS)))
    own = [definition for part in parts for definition in _definitions(*part)]
    definitions = [*_needed(list(_definitions(*log)), own), *own]
    names = [name for definition in definitions for name in definition.names]
    if len(names) != len(set(names)):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"two parts of the verifier define {', '.join(twice)}")
    text, tree = parts[-1]
    plan = ast.get_source_segment(text, tree.body[0])
    imports = _imports([tree for _, tree in (log, *parts)], {name for each in definitions for name in each.uses})
    return f"#!/usr/bin/env python3\n{plan}\n\n{COMMENT}\n{imports}\n{_joined(definitions)}".encode()


def _read(path: Path) -> tuple[str, ast.Module]:
    text = path.read_text("utf-8")
    return text, ast.parse(text)


def _definitions(text: str, tree: ast.Module) -> Iterator[Definition]:
    """Yield what a part defines, in order."""
    lines, heading, before = text.splitlines(), "", 0
    for number, node in enumerate(tree.body):
        end = node.end_lineno or 0
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Expr):
            before = end
            continue
        # A text that stands alone tells of the constant above it, and goes with it.
        after = tree.body[number + 1] if number + 1 < len(tree.body) else None
        if isinstance(after, ast.Expr):
            end = after.end_lineno or end
        above = [line for line in lines[before:end] if not line.startswith("# ---")]
        heading = next((line for line in lines[before:end] if line.startswith("# ---")), heading)
        is_block = isinstance(node, ast.ClassDef | ast.FunctionDef | ast.If)
        uses = frozenset(_used(node))
        yield Definition(heading, "\n".join(above).strip("\n"), is_block, frozenset(_bound(node)), uses)
        before = end


def _bound(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name))


def _used(node: ast.AST) -> set[str]:
    """Return the names in a statement that a function of it does not bind itself."""
    return _names(node)[0]


def _names(node: ast.AST) -> tuple[set[str], set[str]]:
    """Return the names in a statement that are used but not bound by a function of it, and all that it stores."""
    used: set[str] = set()
    stored: set[str] = set()
    if isinstance(node, ast.Name):
        if isinstance(node.ctx, ast.Load):
            used.add(node.id)
        elif isinstance(node.ctx, ast.Store):
            stored.add(node.id)
        return used, stored
    for child in ast.iter_child_nodes(node):
        used_there, stored_there = _names(child)
        used |= used_there
        stored |= stored_there
    if isinstance(node, ast.FunctionDef):
        used -= stored.union(each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg))
    return used, stored


def _needed(found: list[Definition], by: list[Definition]) -> list[Definition]:
    """Return those definitions that others need, and that those need in turn, in their order."""
    defined = {name for definition in by for name in definition.names}
    wanted = {name for definition in by for name in definition.uses} - defined
    while True:
        taken = [definition for definition in found if definition.names & wanted]
        more = wanted.union(*(definition.uses for definition in taken))
        if more == wanted:
            return taken
        wanted = more


def _imports(trees: Iterable[ast.Module], uses: set[str]) -> str:
    """Return the imports that are used, each once: the standard library, then `cryptography`."""
    whole: set[str] = set()
    single: dict[str, set[str]] = {}
    for node in (node for tree in trees for node in tree.body):
        if isinstance(node, ast.Import):
            whole |= {alias.name for alias in node.names} & uses
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.module.split(".")[0] != "ops":
            single.setdefault(node.module, set()).update({alias.name for alias in node.names} & uses)
    lines = [f"import {name}" for name in sorted(whole)]
    froms = {module: f"from {module} import {', '.join(sorted(names))}" for module, names in single.items() if names}
    foreign = [line for module, line in sorted(froms.items()) if module.startswith("cryptography")]
    lines += [line for module, line in sorted(froms.items()) if not module.startswith("cryptography")]
    return "\n".join(["from __future__ import annotations", "", *lines, "", *foreign]) + "\n"


def _joined(definitions: list[Definition]) -> str:
    parts: list[str] = []
    heading, was_block = "", False
    for definition in definitions:
        gap = "\n\n" if definition.is_block or was_block else ""
        if definition.heading not in ("", heading):
            heading = definition.heading
            gap += f"{heading}\n\n\n" if definition.is_block else f"{heading}\n\n"
        parts.append(f"{gap}{definition.text}\n")
        was_block = definition.is_block
    return "".join(parts)
