"""Colors of the arms that several studies share."""

from jaxseg.plots import CYCLE

ARM_COLORS: dict[str, str] = dict(
    zip(("plain", "plain_norm", "plain_isometric", "residual", "residual_norm"), CYCLE, strict=True)
)
