"""Names and colors of the arms that several studies share."""

from jaxseg.plots import CYCLE

ARM_LABELS = {
    "plain": "plain",
    "plain_norm": "plain, batch norm",
    "plain_isometric": "plain, isometric",
    "residual": "residual",
    "residual_norm": "residual, batch norm",
    "residual_unscaled": "residual, unscaled",
}
"""Arm -> its name for people, on pages and figures."""
ARM_COLORS: dict[str, str] = dict(
    zip(("plain", "plain_norm", "plain_isometric", "residual", "residual_norm"), CYCLE, strict=True)
)
"""Arm -> color."""
