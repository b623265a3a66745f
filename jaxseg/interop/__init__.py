"""Weights of torchvision, in and out, and nets as files of StableHLO and ONNX."""

from jaxseg.interop.onnx import check_onnx, export_onnx, load_onnx, read_onnx_metadata
from jaxseg.interop.parity import compare
from jaxseg.interop.safetensors import read_safetensors
from jaxseg.interop.stablehlo import ExportedNet, export_stablehlo, load_stablehlo
from jaxseg.interop.torchvision import (
    TORCHVISION_NETS,
    LoadReport,
    load_torchvision,
    to_torchvision,
)
from jaxseg.interop.zoo import create, list_nets

__all__ = [
    "TORCHVISION_NETS",
    "ExportedNet",
    "LoadReport",
    "check_onnx",
    "compare",
    "create",
    "export_onnx",
    "export_stablehlo",
    "list_nets",
    "load_onnx",
    "load_stablehlo",
    "load_torchvision",
    "read_onnx_metadata",
    "read_safetensors",
    "to_torchvision",
]
