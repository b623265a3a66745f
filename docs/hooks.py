"""Hooks of mkdocs: optional parts, formulas as MathML, links between pages, and a strict check.

Nothing of the site is fetched from elsewhere: formulas become MathML while it is built, and a page
that loads anything from another host, or links to what is not there, ends the build.
"""

import functools
import html
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urlparse

import latex2mathml.converter
import ziamath
from fontTools import subset
from mkdocs.exceptions import PluginError

_OPTIONAL = re.compile(
    r"<!-- if (\S+) -->\n(.*?)(?:<!-- else -->\n(.*?))?<!-- end -->\n", re.DOTALL
)
_ARITHMATEX = re.compile(
    r'<(span|div) class="arithmatex">\s*\\([(\[])(.*?)\\[)\]]\s*</\1>', re.DOTALL
)
_VERBATIM = re.compile(
    r"(<(?P<tag>pre|code|script|style|svg|math|title)\b.*?</(?P=tag)>|<[^>]*>)", re.DOTALL
)
_DISPLAY = re.compile(r"\$\$(.+?)\$\$", re.DOTALL)
_INLINE = re.compile(r"(?<![\\$\w])\$(?![\s$])([^$]+?)(?<![\s\\])\$(?![\w$])")
_UNKNOWN = {"langle": "⟨", "rangle": "⟩", "dots": r"\\ldots "}
"""Commands that latex2mathml does not know everywhere, and what stands for them."""
_CHARACTERS = (
    (0x20, 0x7F),
    (0xA0, 0x100),
    (0x300, 0x370),  # accents
    (0x391, 0x3F6),  # Greek
    (0x2010, 0x2150),  # punctuation, letterlike symbols
    (0x2190, 0x2400),  # arrows, operators
    (0x27E6, 0x27F0),  # brackets
    (0x1D434, 0x1D468),  # italic
    (0x1D6E2, 0x1D71C),  # italic Greek
)
"""First characters of ranges that formulas use, and the ones behind the last."""
_SCRIPT = re.compile(r"<script\b.*?</script>", re.DOTALL)
_HEADING = re.compile(r'<h[1-6][^>]*\bid="([^"]+)"[^>]*>(.*?)</h[1-6]>', re.DOTALL)
_NOTEBOOK_LINK = re.compile(r'href="(\d\d_\w+)\.ipynb(#[^"]*)?"')


def on_page_markdown(markdown: str, *, config: Any, **_: Any) -> str:
    """Keep `<!-- if FILE -->` to `<!-- end -->` where docs/ has the file, else what `else` has."""
    docs = Path(config["docs_dir"])
    return _OPTIONAL.sub(
        lambda match: match[2] if (docs / match[1]).exists() else match[3] or "", markdown
    )


def on_page_content(content: str, *, page: Any, **_: Any) -> str:
    """Write formulas as MathML, and links between notebooks as links between pages."""
    content = _ARITHMATEX.sub(lambda m: mathml(html.unescape(m[3]), display=m[2] == "["), content)
    if page.file.src_uri.endswith(".ipynb"):
        content = _SCRIPT.sub("", content)  # loads MathJax and Mermaid from elsewhere
        content = _NOTEBOOK_LINK.sub(r'href="../\1/\2"', content)
        content = content.replace('="../experiments/figures/', '="../../figures/')
        content = "".join(_formulas(part) for part in _split(content))
        _name_headings(page.toc, dict(_HEADING.findall(content)))
    return content


def _name_headings(items: Any, headings: dict[str, str]) -> None:
    """Give the table of contents the headings' anchors and texts, which it has without code."""
    for item in items:
        if item.id not in headings:
            item.id = next((name for name in headings if name.startswith(item.id)), item.id)
        item.title = re.sub(r"<[^>]+>|¶", "", headings.get(item.id, item.title)).strip()
        _name_headings(item.children, headings)


def _split(content: str) -> list[tuple[bool, str]]:
    """Split HTML into (may hold formulas, text): tags and verbatim elements may not."""
    parts, end = [], 0
    for match in _VERBATIM.finditer(content):
        parts += [(True, content[end : match.start()]), (False, match[0])]
        end = match.end()
    return [*parts, (True, content[end:])]


def _formulas(part: tuple[bool, str]) -> str:
    convertible, text = part
    if not convertible or "$" not in text:
        return text
    text = _DISPLAY.sub(lambda match: mathml(html.unescape(match[1]), display=True), text)
    return _INLINE.sub(lambda match: mathml(html.unescape(match[1]), display=False), text)


@functools.cache
def mathml(formula: str, *, display: bool) -> str:
    """Convert a formula of LaTeX to MathML.

    Args:
        formula: The formula, without delimiters.
        display: Set it on a line of its own.
    """
    formula = formula.strip()
    for command, text in _UNKNOWN.items():
        formula = re.sub(rf"\\{command}(?![a-zA-Z])", text, formula)
    try:
        written = latex2mathml.converter.convert(formula, display="block" if display else "inline")
    except Exception as error:
        raise PluginError(f"no formula of MathML: {formula!r} ({error!r})") from error
    if "\\" in re.sub(r"<annotation.*?</annotation>", "", written, flags=re.DOTALL):
        raise PluginError(f"a command of LaTeX is unknown: {formula!r}: {written}")
    # Names of functions are identifiers; as operators they would stand apart from their arguments.
    written = re.sub(r"<mo>([A-Za-z]{2,})</mo>", r"<mi>\1</mi>", written)
    return f'<div class="formula">{written}</div>' if display else written


class _Page(HTMLParser):
    """Collects what a page links to, what it loads, and its anchors."""

    def __init__(self, text: str):
        super().__init__()
        self.links: set[str] = set()
        self.loads: set[str] = set()
        self.anchors: set[str] = set()
        self._in_script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Sort a tag's links."""
        values = {name: value or "" for name, value in attrs}
        self._in_script = tag == "script"
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.add(values["href"])
        elif tag == "link" and values.get("rel") not in ("canonical", "prev", "next"):
            self.loads.add(values.get("href", ""))
        elif tag in ("img", "script", "iframe", "source", "video", "object"):
            self.loads |= {values[name] for name in ("src", "data") if name in values}

    def handle_endtag(self, tag: str) -> None:
        """Leave a script."""
        self._in_script = False

    def handle_data(self, data: str) -> None:
        """Take the addresses in a script for what it loads."""
        if self._in_script:
            self.loads |= {*re.findall(r"""["'](https?://[^"']+)["']""", data)}


def write_font(path: Path) -> None:
    """Write the part of STIX Two Math that formulas use, for readers without a font of formulas.

    Args:
        path: The file, in the format WOFF.
    """
    # The package is there for the font that it ships, under the Open Font License.
    source = Path(ziamath.__file__).parent / "fonts" / "STIXTwoMath-Regular.ttf"
    options = subset.Options(flavor="woff", layout_features=["*"], name_IDs=["*"])
    subsetter = subset.Subsetter(options)
    characters = [code for first, stop in _CHARACTERS for code in range(first, stop)]
    subsetter.populate(unicodes=characters)
    path.parent.mkdir(exist_ok=True)
    with subset.load_font(str(source), options) as font:
        subsetter.subset(font)
        subset.save_font(font, str(path), options)


def on_post_build(*, config: Any, **_: Any) -> None:
    """Check every page of the site: links, anchors, and that nothing comes from another host."""
    site = Path(config["site_dir"])
    write_font(site / "fonts" / "math.woff")
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    faults = [
        f"{path.relative_to(site)}: {fault}"
        for path, page in sorted(pages.items())
        if path.name != "404.html"
        for fault in _faults(path, page, pages, site)
    ]
    if faults:
        raise PluginError("\n".join(["the site is not whole:", *faults]))


def _faults(path: Path, page: _Page, pages: dict[Path, _Page], site: Path) -> list[str]:
    faults = []
    for url in sorted(page.loads | page.links):
        parsed = urlparse(url)
        if parsed.scheme in ("http", "https") or parsed.netloc:
            if url in page.loads:
                faults.append(f"loads {url}")
            continue
        if parsed.scheme:  # data:, mailto:
            continue
        target, anchor = urldefrag(url)
        file = (path.parent / unquote(target)).resolve() if target else path
        file = file / "index.html" if file.is_dir() else file
        if not file.exists() or site.resolve() not in file.resolve().parents:
            faults.append(f"links to {url}, which is not there")
        elif anchor and file in pages and unquote(anchor) not in pages[file].anchors | {"__top"}:
            faults.append(f"links to {url}, which has no such anchor")
    return faults
