"""The receptive field explorer: a page that shows what output pixels see, without a kernel.

tables     what the page shows of a field, computed here, as JSON
page       one HTML file of the tables, the scripts and the styles
dom.js     controls and drawing on canvases, for every page of this kind
field.js   the view of tables
"""

from jaxseg.analysis.receptive.explorer.page import Explorer, asset, html_table
from jaxseg.analysis.receptive.explorer.tables import Maps, layer_table, net_table

__all__ = ["Explorer", "Maps", "asset", "html_table", "layer_table", "net_table"]
