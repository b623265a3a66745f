"""Weights from elsewhere, and back."""

from jaxseg.interop.safetensors import read_safetensors
from jaxseg.interop.torchvision import LoadReport, load_torchvision, to_torchvision

__all__ = ["LoadReport", "load_torchvision", "read_safetensors", "to_torchvision"]
