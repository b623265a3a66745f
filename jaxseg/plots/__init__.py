"""Arrays to matplotlib figures; nothing is computed here but where to draw it."""

from jaxseg.plots.arithmetic import (
    convolution,
    dilated_input,
    kernel_on_pixels,
    transposed_convolution,
)
from jaxseg.plots.chains import chain
from jaxseg.plots.curves import (
    against_share,
    medians,
    nets_and_theory,
    points_by_layer,
    profiles,
    shares,
    training_curves,
)
from jaxseg.plots.diagrams import aspp, plain_and_residual, residual_blocks, u_net
from jaxseg.plots.effective_fields import effective_field
from jaxseg.plots.exports import export_parity
from jaxseg.plots.field_studies import output_phases, overlaps
from jaxseg.plots.fields import field_growth, path_counts, windows
from jaxseg.plots.gradients import gradient_profile
from jaxseg.plots.images import displayable, image_row, image_strip, label_maps, to_rgb
from jaxseg.plots.overlays import class_bars, contact_sheet, overlay
from jaxseg.plots.printed import PAGE, class_key, headline, plain_log_scale, plain_log_ticks, tidy
from jaxseg.plots.runs import confusion_figure, error_panel, prediction_panel, run_curves
from jaxseg.plots.signals import shattering, signal_propagation
from jaxseg.plots.style import CYCLE, NEUTRAL, decimal_ticks, plain_axes, steady_limits

__all__ = [
    "CYCLE",
    "NEUTRAL",
    "PAGE",
    "against_share",
    "aspp",
    "chain",
    "class_bars",
    "class_key",
    "confusion_figure",
    "contact_sheet",
    "convolution",
    "decimal_ticks",
    "dilated_input",
    "displayable",
    "effective_field",
    "error_panel",
    "export_parity",
    "field_growth",
    "gradient_profile",
    "headline",
    "image_row",
    "image_strip",
    "kernel_on_pixels",
    "label_maps",
    "medians",
    "nets_and_theory",
    "output_phases",
    "overlaps",
    "overlay",
    "path_counts",
    "plain_and_residual",
    "plain_axes",
    "plain_log_scale",
    "plain_log_ticks",
    "points_by_layer",
    "prediction_panel",
    "profiles",
    "residual_blocks",
    "run_curves",
    "shares",
    "shattering",
    "signal_propagation",
    "steady_limits",
    "tidy",
    "to_rgb",
    "training_curves",
    "transposed_convolution",
    "u_net",
    "windows",
]
