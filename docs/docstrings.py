"""Turns the docstrings' few conventions into what mkdocstrings renders: formulas and examples."""

import re
import textwrap

import griffe

_DISPLAY = re.compile(
    r"^(?P<indent> *)\.\. math::[ ]*(?P<first>[^\n]*)\n"
    r"(?P<rest>(?:(?P=indent) +[^\n]*\n|[ ]*\n(?=(?P=indent) +))*)",
    re.MULTILINE,
)
_INLINE = re.compile(r":math:`([^`]+)`")
_EXAMPLE = re.compile(r"^( *)Example:$", re.MULTILINE)
_BARE_DOCTEST = re.compile(r"(?<=\n\n)(>>> (?:[^\n]+\n?)+)")


def convert(text: str) -> str:
    """Convert a docstring to the Markdown and Google sections that mkdocstrings reads.

    Args:
        text: The docstring, without its indentation.
    """
    text = _DISPLAY.sub(_display, text + "\n")
    text = _INLINE.sub(lambda match: f"${' '.join(match[1].split())}$", text)
    text = _EXAMPLE.sub(r"\1Examples:", text)
    if "Examples:" not in text:
        text = _BARE_DOCTEST.sub(lambda m: f"Examples:\n{textwrap.indent(m[1], '    ')}", text)
    return text.rstrip("\n")


def _display(match: re.Match[str]) -> str:
    lines = " ".join(f"{match['first']} {match['rest']}".split())
    indent = match["indent"]
    return f"{indent}$$\n{indent}{lines}\n{indent}$$\n\n"


class Docstrings(griffe.Extension):
    """Converts every docstring as it is read."""

    def on_instance(self, *, obj: griffe.Object, **_: object) -> None:
        """Convert the docstring of an object.

        Args:
            obj: What was read.
        """
        if obj.docstring:
            obj.docstring.value = convert(obj.docstring.value)
