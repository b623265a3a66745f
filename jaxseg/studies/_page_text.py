"""Text of findings as HTML: escaped, with mathematics set as mathematics."""

import html
import re

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿᴸ", "0123456789+−nL")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")


def escape(text: str) -> str:
    """Return text that a page shows as it is."""
    return html.escape(text)


def listed(text: str) -> str:
    """Return what `marked` does, as a list where there are three parts or more between semicolons.

    >>> listed("a 1; b 2")
    'a 1; b 2'
    >>> listed("a 1; b 2; c 3")
    '<ul><li>a 1</li><li>b 2</li><li>c 3</li></ul>'
    """
    parts = text.split("; ")
    if len(parts) < 3:
        return marked(text)
    return f"<ul>{''.join(f'<li>{marked(part)}</li>' for part in parts)}</ul>"


def marked(text: str) -> str:
    """Return escaped text with its superscripts, subscripts and code as elements.

    Exponents are Unicode's where it has them, `^{…}` elsewhere; likewise subscripts and `_{…}`.
    Powers of ten may be written as programs print them.

    >>> marked("2⁻ᴸ < L^{−1/2}, σ_{w}²")
    '2<sup>−L</sup> &lt; L<sup>−1/2</sup>, σ<sub>w</sub><sup>2</sup>'
    >>> marked("run `a<b`, at most 3.7e-07 of 2e+04")
    'run <code>a&lt;b</code>, at most 3.7 × 10<sup>−7</sup> of 2 × 10<sup>4</sup>'
    >>> marked("relative error 0.0e+00")
    'relative error 0'
    """
    text = html.escape(text)
    text = re.sub(r"`([^`]*)`", r"<code>\1</code>", text)
    text = re.sub(
        r"(?<![\w.])(\d+(?:\.\d+)?)e([+-])0*(\d+)(?!\w)",
        lambda m: f"{m[1]} × 10<sup>{'−' * (m[2] == '-')}{m[3]}</sup>" if float(m[1]) else "0",
        text,
    )
    text = re.sub(r"\^\{([^{}]*)\}", r"<sup>\1</sup>", text)
    text = re.sub(r"_\{([^{}]*)\}", r"<sub>\1</sub>", text)
    text = re.sub(
        "[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿᴸ]+", lambda m: f"<sup>{m[0].translate(_SUPERSCRIPTS)}</sup>", text
    )
    return re.sub("[₀₁₂₃₄₅₆₇₈₉]+", lambda m: f"<sub>{m[0].translate(_SUBSCRIPTS)}</sub>", text)
