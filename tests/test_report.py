"""A report is one valid page that loads and runs nothing, shows every figure, and repeats strangers' texts to the letter."""

import base64
import json
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from html import escape, unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from refntk import report
from refntk.errors import ShapeError
from refntk.report import Code, Folded, Picture, Section, Table, Text, Verdict, page, plain

SVG = (
    b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="300" height="200"><rect width="300" height="200"/></svg>'
)
HOSTILE = (
    "<script>document.title = 'broken into'</script>",
    "\" onerror='document.title=1' x=\"",
    "</style></main></td><img src=https://example.org/x.png>",
    "&lt;b&gt; &amp;amp; <!-- ]]> --> {{7*7}} ${7} 'λ' ‖K̂‖",
)
VOID = {"meta", "img", "br"}
TAGS = VOID | set(
    re.findall(
        r"\w+",
        "html head title style body main h1 h2 p pre code div table thead tbody tr th td span figure figcaption details summary",
    )
)
ATTRIBUTES = {"lang", "charset", "name", "content", "http-equiv", "class", "tabindex", "scope", "alt", "src", "data-head"}


@dataclass
class Page(HTMLParser):
    """What a page is made of, and what is wrong with it."""

    faults: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    images: list[tuple[str, bytes]] = field(default_factory=list)
    declared: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    @classmethod
    def of(cls, text: str) -> "Page":
        found = cls()
        found.feed(text)
        found.close()
        found.faults += [f"never closed: {tag}" for tag in found.open]
        found.faults += [] if found.declared == ["DOCTYPE html"] else ["no doctype"]
        return found

    def handle_decl(self, decl: str) -> None:
        self.declared.append(decl)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        self.faults += [f"tag {tag}"] if tag not in TAGS else []
        self.faults += [f"attribute {name}" for name in values if name not in ATTRIBUTES or len(values) < len(attributes)]
        if tag == "img":
            kind, _, data = (values.get("src") or "").partition(";base64,")
            self.faults += [] if kind in ("data:image/svg+xml", "data:image/png") else [f"loads {kind}"]
            self.images.append((values.get("alt") or "", base64.b64decode(data)))
        if "data-head" in values:
            self.texts.append(values["data-head"] or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"closes {tag}")

    def handle_comment(self, data: str) -> None:
        self.faults.append("comment")

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.faults += ["style loads"] if re.search(r"url\(|@import|//", data) else []
        elif data.strip():
            self.texts.append(data)


def full(text: str, image: bytes = SVG) -> str:
    """A page with this text in every place that takes one."""
    table = Table(
        [text, "n"], [[text, "1"], [Verdict(True, text), "2"], [Verdict(False, text), "3"], [Verdict(None, text), ""]], ["n"]
    )
    blocks = [Section(text), Text(text), Code(text), table, Picture(text, image, text)]
    return page(text, [*blocks, Folded(text, blocks)])


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_are_shown_to_the_letter_and_do_nothing(text: str) -> None:
    found = Page.of(full(text))
    assert found.faults == []
    whole = [shown.removeprefix("✓\xa0").removeprefix("✗\xa0").removeprefix("–\xa0") for shown in found.texts]
    assert whole.count(text) + whole.count(" ".join(text.split())) >= 2 + 2 * 12
    assert [name for name, _ in found.images] == [text, text]


@pytest.mark.parametrize("text", HOSTILE[:3])
def test_the_check_sees_texts_that_are_not_escaped(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "_safe", lambda text: text)
    assert Page.of(full(text)).faults


@pytest.mark.parametrize(
    "tag", ['<script src="x.js"></script>', '<img alt="" src="x.png">', '<p onclick="x()"></p>', "<p>", "</p>", '<link href="x">']
)
def test_the_check_sees_what_does_not_belong(tag: str) -> None:
    whole = full("a")
    assert not Page.of(whole).faults
    assert Page.of(whole.replace("<h1>", tag + "<h1>")).faults


def test_the_page_forbids_itself_everything_but_its_style_and_images() -> None:
    assert f'content="{report.POLICY}"' in full("a")
    assert escape(report.POLICY, quote=False) == report.POLICY
    assert report.POLICY.startswith("default-src 'none';")


@pytest.mark.parametrize("image", [SVG, b"\x89PNG\r\n\x1a\n and more"])
def test_figures_are_there_byte_for_byte(image: bytes) -> None:
    assert [data for _, data in Page.of(full("a", image)).images] == [image, image]


def test_characters_that_no_page_may_hold_are_replaced() -> None:
    text = page("a\x00b\ud800c\x1bd", [])
    assert "<h1>a�b�c�d</h1>" in text
    text.encode()


def test_paragraphs_and_code_in_them() -> None:
    assert "<p>One <code>a &lt; b</code> two.</p>\n<p>Three.</p>" in page("", [Text("One `a < b`\n two.\n\n\n\nThree.\n")])


def test_verdicts_are_told_by_more_than_a_colour() -> None:
    text = page("", [Table(["v"], [[Verdict(True, "holds")], [Verdict(False, "fails")], [Verdict(None, "open")]])])
    assert re.findall(r'class="(\w+)">(.)&nbsp;(\w+)<', text) == [
        ("good", "✓", "holds"),
        ("bad", "✗", "fails"),
        ("open", "–", "open"),
    ]


def test_a_table_for_a_terminal() -> None:
    assert plain(Table(["claim", "n"], [["first", "10"], [Verdict(False, "no"), "9"]], ["n"])).splitlines() == [
        "claim   n",
        "first  10",
        "no      9",
    ]


def test_rows_that_do_not_fit_their_head_are_refused() -> None:
    with pytest.raises(ShapeError, match="2 cells"):
        Table(["a", "b"], [["1", "2"], ["3"]])


# In a browser

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
LOOK = """<!DOCTYPE html><title>waiting</title>
<iframe id="report" src="report.html" style="width: WIDTHpx; height: 900px; border: 0"></iframe>
<script>
onload = () => {
  const d = document.getElementById("report").contentDocument, root = d.documentElement, images = [...d.images];
  const rows = [...d.querySelectorAll("td")], style = getComputedStyle(d.body);
  document.title = JSON.stringify({
    standards: d.compatMode === "CSS1Compat", title: d.title, overflow: root.scrollWidth > root.clientWidth,
    images: images.map(i => i.complete && i.naturalWidth > 0), scripts: d.scripts.length,
    cells: rows.every(r => r.getBoundingClientRect().right <= WIDTH), dark: style.backgroundColor !== "rgb(255, 255, 255)" });
};
</script>"""


def seen(text: str, folder: Path, *, width: int, dark: bool = False) -> dict[str, object]:
    """What a browser makes of a page in a window so wide (pixels)."""
    (folder / "report.html").write_text(text, encoding="utf-8")
    (folder / "look.html").write_text(LOOK.replace("WIDTH", str(width)))
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={folder / 'profile'}",
        "--allow-file-access-from-files",
    ]
    options += ["--virtual-time-budget=5000", "--blink-settings=preferredColorScheme=" + ("0" if dark else "1"), "--dump-dom"]
    done = subprocess.run([str(BROWSER), *options, (folder / "look.html").as_uri()], capture_output=True, timeout=100, check=True)
    return json.loads(unescape(re.search(r"<title>(.*?)</title>", done.stdout.decode(), re.DOTALL)[1]))


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed to look at pages with")
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 1200])
def test_a_browser_shows_all_of_it_at_any_width_by_day_and_by_night(width: int, dark: bool, tmp_path: Path) -> None:
    found = seen(full(HOSTILE[0] + " and words" * 30), tmp_path, width=width, dark=dark)
    assert found == {
        "standards": True,
        "title": HOSTILE[0] + " and words" * 30,
        "overflow": False,
        "images": [True] * 2,
        "scripts": 0,
        "cells": True,
        "dark": dark,
    }


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed to look at pages with")
def test_the_browser_sees_a_broken_figure_and_a_page_that_is_too_wide(tmp_path: Path) -> None:
    broken = full("a", b"<svg").replace("<h1>", '<h1 style="width: 500px">')
    found = seen(broken, tmp_path, width=360)
    assert (found["images"], found["overflow"]) == ([False, False], True)
