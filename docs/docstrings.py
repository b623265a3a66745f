"""Turns the docstrings' few conventions into what mkdocstrings renders: formulas and examples."""

import ast
import re
import textwrap

import griffe

_DISPLAY = re.compile(
    r"^(?P<indent> *)\.\. math::[ ]*(?P<first>[^\n]*)\n"
    r"(?P<rest>(?:(?P=indent) +[^\n]*\n|[ ]*\n(?=(?P=indent) +))*)",
    re.MULTILINE,
)
_STAR = re.compile(r"(?:(?<=\()|(?<=, ))\*(?=[\w(])(?!\w+\*)")
_SHAPED = re.compile(r"\b(Bool|Float|Float32|Float64|Int|Integer|Num|Shaped|UInt8)\[")
_COLUMNS = re.compile(r"(?:^\w+ {2,}\S[^\n]*\n?){3,}", re.MULTILINE)
"""A table in columns: a name, and what it is."""
_ROW = re.compile(r"^(\w+) {2,}", re.MULTILINE)
_INLINE = re.compile(r":math:`([^`]+)`")
_EXAMPLE = re.compile(r"^( *)Example:$", re.MULTILINE)
_BARE_DOCTEST = re.compile(r"(?<=\n\n)(>>> (?:[^\n]+\n?)+)")


def convert(text: str) -> str:
    """Convert a docstring to the Markdown and Google sections that mkdocstrings reads.

    Args:
        text: The docstring, without its indentation.
    """
    text = _COLUMNS.sub(lambda match: _ROW.sub(r"- `\1`: ", match[0]), text)
    text = _DISPLAY.sub(_display, text + "\n")
    text = _INLINE.sub(lambda match: f"${' '.join(match[1].split())}$", text)
    text = _EXAMPLE.sub(r"\1Examples:", text)
    if "Examples:" not in text:
        text = _BARE_DOCTEST.sub(lambda m: f"Examples:\n{textwrap.indent(m[1], '    ')}", text)
    lines = [line if ">>>" in line else _without_emphasis(line) for line in text.split("\n")]
    return "\n".join(lines).rstrip("\n")


def _without_emphasis(line: str) -> str:
    """Escape the stars of shapes, such as (batch, *space, in), outside of code."""
    parts = re.split(r"(`[^`]*`)", line)
    parts[::2] = [_STAR.sub(r"\\*", part) for part in parts[::2]]
    return "".join(parts)


def _display(match: re.Match[str]) -> str:
    lines = " ".join(f"{match['first']} {match['rest']}".split())
    indent = match["indent"]
    return f"{indent}$$\n{indent}{lines}\n{indent}$$\n"


def _with_shapes(annotation: ast.expr | None) -> str | None:
    """Write an annotation that has a shape of jaxtyping in it; None where there is none."""
    text = ast.unparse(annotation) if annotation else ""
    return text.replace("'", '"') if _SHAPED.search(text) else None


class Docstrings(griffe.Extension):
    """Converts every docstring as it is read, and keeps the shapes of arrays in annotations."""

    def on_function_instance(
        self, *, node: ast.AST | griffe.ObjectNode, func: griffe.Function, **_: object
    ) -> None:
        """Write annotations with shapes as their source has them.

        Griffe would read "batch *space" as a product.

        Args:
            node: The function's source.
            func: The function.
        """
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return
        sources = {a.arg: a.annotation for a in (*node.args.args, *node.args.kwonlyargs)}
        for parameter in func.parameters:
            if text := _with_shapes(sources.get(parameter.name)):
                parameter.annotation = text
        if text := _with_shapes(node.returns):
            func.returns = text

    def on_instance(self, *, obj: griffe.Object, **_: object) -> None:
        """Convert the docstring of an object.

        Args:
            obj: What was read.
        """
        if obj.docstring:
            obj.docstring.value = convert(obj.docstring.value)
