"""Receptive fields of JAX functions, by interpreting their jaxprs.

links     how positions of a result meet those of an operand
lattice   the field of every position at once, borders aside
cuts      which positions need not be told apart
graph     the arrays of a function and what each is made from
rules     a rule for each primitive (layout, windows, lookup, control)
trace     from a jaxpr to the graph
query     from a pixel back to the input, exactly
field     what the user sees
"""

from jaxseg.analysis.receptive import control, layout, lookup, windows
from jaxseg.analysis.receptive.field import AxisField, Phase, ReceptiveField, receptive_field
from jaxseg.analysis.receptive.links import WHOLE, Blocks, Table, Window, same
from jaxseg.analysis.receptive.rules import rule
from jaxseg.analysis.receptive.summary import Layer, Summary, summary

__all__ = [
    "WHOLE",
    "AxisField",
    "Blocks",
    "Layer",
    "Phase",
    "ReceptiveField",
    "Summary",
    "Table",
    "Window",
    "control",
    "layout",
    "lookup",
    "receptive_field",
    "rule",
    "same",
    "summary",
    "windows",
]
