"""Weights from elsewhere, and back."""

from jaxseg.interop.safetensors import read_safetensors
from jaxseg.interop.torchvision import (
    TORCHVISION_NETS,
    LoadReport,
    load_torchvision,
    to_torchvision,
)

__all__ = [
    "TORCHVISION_NETS",
    "LoadReport",
    "load_torchvision",
    "read_safetensors",
    "to_torchvision",
]
