"""Text of findings as HTML: escaped, with mathematics set as mathematics."""

import html
import re

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿᴸ", "0123456789+−nL")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")


def escape(text: str) -> str:
    """Return text that a page shows as it is."""
    return html.escape(text)


def marked(text: str) -> str:
    """Return escaped text with its superscripts, subscripts and code as elements.

    Exponents are Unicode's where it has them, `^{…}` elsewhere; likewise subscripts and `_{…}`.

    >>> marked("2⁻ᴸ < L^{−1/2}, σ_{w}²")
    '2<sup>−L</sup> &lt; L<sup>−1/2</sup>, σ<sub>w</sub><sup>2</sup>'
    >>> marked("run `a<b`")
    'run <code>a&lt;b</code>'
    """
    text = html.escape(text)
    text = re.sub(r"`([^`]*)`", r"<code>\1</code>", text)
    text = re.sub(r"\^\{([^{}]*)\}", r"<sup>\1</sup>", text)
    text = re.sub(r"_\{([^{}]*)\}", r"<sub>\1</sub>", text)
    text = re.sub(
        "[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿᴸ]+", lambda m: f"<sup>{m[0].translate(_SUPERSCRIPTS)}</sup>", text
    )
    return re.sub("[₀₁₂₃₄₅₆₇₈₉]+", lambda m: f"<sub>{m[0].translate(_SUBSCRIPTS)}</sub>", text)
