"""A page of HTML that stands alone: text, tables, verdicts and figures in one file, without a script and without a link.

It is read on a phone as on a wide screen, by day and by night. Every text is escaped, figures are images of their own, and the page
forbids itself to load or to run anything: what came from strangers can be shown.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import zip_longest
from typing import TypeAlias

from .errors import ShapeError


@dataclass(frozen=True)
class Verdict:
    """Whether something holds (None: nothing can be said), in a word; told by a sign as well as by a colour."""

    holds: bool | None
    word: str


@dataclass(frozen=True)
class Section:
    """A heading; what follows is under it."""

    title: str


@dataclass(frozen=True)
class Text:
    """Paragraphs, parted by empty lines; what stands between backticks is code."""

    text: str


@dataclass(frozen=True)
class Code:
    """Lines as they are: a command, a traceback."""

    text: str


@dataclass(frozen=True)
class Table:
    """Rows of texts and verdicts under their head; the columns named in `numbers` stand to the right."""

    head: Sequence[str]
    rows: Sequence[Sequence[str | Verdict]]
    numbers: Sequence[str] = ()

    def __post_init__(self) -> None:
        if {len(row) for row in self.rows} - {len(self.head)}:
            raise ShapeError("rows", [len(row) for row in self.rows], f"give each of them {len(self.head)} cells")


@dataclass(frozen=True)
class Picture:
    """An SVG document, or a PNG image, over its caption; `name` is read aloud to those who do not see it."""

    name: str
    image: bytes
    caption: str = ""


@dataclass(frozen=True)
class Folded:
    """Blocks that are there when asked for."""

    summary: str
    blocks: Sequence[Block]


Block: TypeAlias = "Section | Text | Code | Table | Picture | Folded"

UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --soft: #59636e; --line: #d1d9e0; --tint: #f6f8fa;
  --good: #116329; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --soft: #9da7b1; --line: #3d444d; --tint: #151b23;
  --good: #4ac26b; --bad: #ff7b72; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: break-word; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 1rem; }
h1 + p { font-size: 1.2rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .7rem; padding-top: .8rem; border-top: 1px solid var(--line); }
p { max-width: 44rem; margin: 0 0 .8rem; }
pre { background: var(--tint); border: 1px solid var(--line); border-radius: 6px; padding: .7rem .9rem; font-size: .85rem; }
pre, .wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; }
th, td { padding: .35rem .9rem .35rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.good, .bad, .open { font-weight: 600; color: var(--soft); }
.good { color: var(--good); }
.bad { color: var(--bad); }
figure { margin: 1rem 0 1.6rem; }
figure img { display: block; max-width: none; width: 100%; min-width: 32rem; background: #fff; border-radius: 6px; }
figcaption { color: var(--soft); margin-top: .5rem; max-width: 44rem; }
details { margin: 1rem 0; }
summary { cursor: pointer; }
@media (max-width: 40rem) { thead { display: none; } table, tbody, tr, td { display: block; overflow-wrap: anywhere; }
  tr { padding: .5rem 0; border-bottom: 1px solid var(--line); }
  td, .number { text-align: left; white-space: normal; border: 0; padding: .1rem 0; }
  td:empty { display: none; }
  td[data-head]::before { content: attr(data-head) ": "; color: var(--soft); } }
"""


def page(title: str, blocks: Sequence[Block], /) -> str:
    """The document, HTML 5, to be written as UTF-8.

    >>> shown = page("a < b", [Text("One."), Table(["claim", ""], [["a < b", Verdict(True, "holds")]])])
    >>> "<h1>a &lt; b</h1>" in shown, '<span class="good">✓&nbsp;holds</span>' in shown
    (True, True)
    """
    head = (
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_safe(title)}</title>",
        f"<style>{STYLE}</style>",
    )
    body = ("<main>", f"<h1>{_safe(title)}</h1>", *map(_block, blocks), "</main>")
    lines = ("<!DOCTYPE html>", '<html lang="en">', "<head>", *head, "</head>", "<body>", *body, "</body>", "</html>")
    return "\n".join(lines) + "\n"


def _block(block: Block) -> str:
    match block:
        case Section(title):
            return f"<h2>{_safe(title)}</h2>"
        case Text(text):
            return "\n".join(f"<p>{_prose(part)}</p>" for part in text.split("\n\n") if part.strip())
        case Code(text):
            return f'<pre tabindex="0"><code>{_safe(text)}</code></pre>'
        case Table():
            return _table(block)
        case Picture(name, image, caption):
            kind = "png" if image.startswith(b"\x89PNG") else "svg+xml"
            source = f"data:image/{kind};base64,{base64.b64encode(image).decode()}"
            shown = f'<div class="wide" tabindex="0"><img alt="{_safe(name)}" src="{source}"></div>'
            return f"<figure>{shown}<figcaption>{_safe(caption)}</figcaption></figure>"
        case Folded(summary, blocks):
            return "\n".join((f"<details><summary>{_safe(summary)}</summary>", *map(_block, blocks), "</details>"))


def _table(table: Table) -> str:
    """A table; on a narrow screen each row becomes a list of named values."""

    def cell(name: str, value: str | Verdict) -> str:
        kind = ' class="number"' if name in table.numbers else ""
        named = f' data-head="{_safe(name)}"' if name else ""
        return f"<td{kind}{named}>{_value(value)}</td>"

    kinds = (' class="number"' if name in table.numbers else "" for name in table.head)
    head = "".join(f'<th scope="col"{kind}>{_safe(name)}</th>' for name, kind in zip(table.head, kinds, strict=True))
    rows = ("<tr>" + "".join(map(cell, table.head, row)) + "</tr>" for row in table.rows)
    lines = (f"<thead><tr>{head}</tr></thead>" if any(table.head) else "", "<tbody>", *rows, "</tbody>")
    return '<div class="wide" tabindex="0"><table>\n' + "\n".join(filter(None, lines)) + "\n</table></div>"


def _prose(text: str) -> str:
    """A paragraph; every second part between backticks is code."""
    parts = [_safe(part) for part in " ".join(text.split()).split("`")]
    return "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))


def _safe(text: str) -> str:
    """The text as HTML, in an attribute or between tags; characters that no document may hold are replaced."""
    return escape(UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text))


def _value(value: str | Verdict) -> str:
    if isinstance(value, str):
        return _safe(value)
    kind, sign = {True: ("good", "✓"), False: ("bad", "✗"), None: ("open", "–")}[value.holds]
    return f'<span class="{kind}">{sign}&nbsp;{_safe(value.word)}</span>'


def plain(table: Table, /) -> str:
    """The same table for a terminal, verdicts as words.

    >>> print(plain(Table(["claim", "measured"], [["order", "-1.01"], ["constant", "2"]], numbers=["measured"])))
    claim     measured
    order        -1.01
    constant         2
    """
    rows = [list(table.head), *([v if isinstance(v, str) else v.word for v in row] for row in table.rows)]
    widths = [max(map(len, column)) for column in zip_longest(*rows, fillvalue="")]
    sides = [">" if name in table.numbers else "<" for name in table.head]
    return "\n".join("  ".join(f"{v:{s}{w}}" for v, s, w in zip(row, sides, widths, strict=True)).rstrip() for row in rows)
