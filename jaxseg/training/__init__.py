"""Train states, steps and loops; functions and pytrees, no model."""

from jaxseg.training.ensemble import (
    member_mesh,
    over_batch,
    over_members,
    pad_members,
    to_members,
    use_all_cores,
)
from jaxseg.training.loop import Diverged, fit
from jaxseg.training.optimizers import (
    OptimizerConfig,
    clip_by_norm,
    kernels,
    make_optimizer,
    make_schedule,
)
from jaxseg.training.state import TrainState, init_state, make_eval_step, make_train_step

__all__ = [
    "Diverged",
    "OptimizerConfig",
    "TrainState",
    "clip_by_norm",
    "fit",
    "init_state",
    "kernels",
    "make_eval_step",
    "make_optimizer",
    "make_schedule",
    "make_train_step",
    "member_mesh",
    "over_batch",
    "over_members",
    "pad_members",
    "to_members",
    "use_all_cores",
]
