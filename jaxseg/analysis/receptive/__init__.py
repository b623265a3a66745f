"""Receptive fields of JAX functions, by interpreting their jaxprs.

field        what the user sees of an array; `receptive_field` and `summary` are made of it
explorer     a page to look at fields, in a notebook or as a file
tracing      from a function to its jaxpr
interpreter  from a jaxpr to the graph of its arrays, through the rules of its primitives
rules        how the positions of each primitive's result meet those of its operands
graph        the arrays of a function and what each one is made from
links        which positions along two axes meet
partition    which positions need not be told apart
lattice      the field of every position at once, borders ignored
query        from single positions back to the input, exactly
"""

import jaxseg.analysis.receptive.rules  # noqa: F401 (each rule registers itself)
from jaxseg.analysis.receptive._receptive_field import receptive_field
from jaxseg.analysis.receptive._summary import Layer, Summary, summary
from jaxseg.analysis.receptive.axis_field import AxisField, Phase
from jaxseg.analysis.receptive.field import ReceptiveField
from jaxseg.analysis.receptive.links import WHOLE, Blocks, Table, Window, same
from jaxseg.analysis.receptive.registry import rule

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
    "receptive_field",
    "rule",
    "same",
    "summary",
]
