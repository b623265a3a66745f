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
from jaxseg.training.state import (
    TrainState,
    clip_by_norm,
    init_state,
    make_eval_step,
    make_train_step,
)

__all__ = [
    "Diverged",
    "TrainState",
    "clip_by_norm",
    "fit",
    "init_state",
    "make_eval_step",
    "make_train_step",
    "member_mesh",
    "over_batch",
    "over_members",
    "pad_members",
    "to_members",
    "use_all_cores",
]
