"""Checkpoints of a run: written beside the training, whole or not at all, verified when read."""

from jaxseg.training.checkpoint.checkpoints import Checkpoints, Restored

__all__ = ["Checkpoints", "Restored"]
