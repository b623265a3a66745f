"""Arrays to matplotlib figures; nothing is computed here but where to draw it."""

from jaxseg.plots.chains import chain
from jaxseg.plots.effective_fields import effective_field
from jaxseg.plots.exports import export_parity
from jaxseg.plots.field_studies import output_phases, overlaps
from jaxseg.plots.fields import field_growth, path_counts, windows
from jaxseg.plots.gradients import gradient_profile
from jaxseg.plots.images import displayable, image_strip, to_rgb
from jaxseg.plots.overlays import class_bars, contact_sheet, overlay
from jaxseg.plots.printed import PAGE, class_key, headline, plain_log_scale, plain_log_ticks, tidy
from jaxseg.plots.runs import confusion_figure, error_panel, prediction_panel, run_curves
from jaxseg.plots.style import CYCLE, NEUTRAL

__all__ = [
    "CYCLE",
    "NEUTRAL",
    "PAGE",
    "chain",
    "class_bars",
    "class_key",
    "confusion_figure",
    "contact_sheet",
    "displayable",
    "effective_field",
    "error_panel",
    "export_parity",
    "field_growth",
    "gradient_profile",
    "headline",
    "image_strip",
    "output_phases",
    "overlaps",
    "overlay",
    "path_counts",
    "plain_log_scale",
    "plain_log_ticks",
    "prediction_panel",
    "run_curves",
    "tidy",
    "to_rgb",
    "windows",
]
