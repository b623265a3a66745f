"""Train states, steps, loops and checkpoints: functions and pytrees, no model."""

from jaxseg.training import records, tables
from jaxseg.training.checkpoint import Checkpoints, Restored
from jaxseg.training.devices import batch_mesh, batch_placer, join_processes, replicate
from jaxseg.training.ensemble import (
    member_mesh,
    over_batch,
    over_members,
    pad_members,
    to_members,
    use_all_cores,
)
from jaxseg.training.inference import (
    InferenceConfig,
    Strip,
    entropy,
    probabilities,
    probability_strips,
    segment,
)
from jaxseg.training.loop import Diverged, fit
from jaxseg.training.optimizers import (
    OptimizerConfig,
    clip_by_norm,
    kernels,
    make_optimizer,
    make_schedule,
)
from jaxseg.training.preemption import StopRequest, stop_requests
from jaxseg.training.state import TrainState, init_state, make_eval_step, make_train_step
from jaxseg.training.sweep import Ensemble, Member, evaluate_members, train_members

__all__ = [
    "Checkpoints",
    "Diverged",
    "Ensemble",
    "InferenceConfig",
    "Member",
    "OptimizerConfig",
    "Restored",
    "StopRequest",
    "Strip",
    "TrainState",
    "batch_mesh",
    "batch_placer",
    "clip_by_norm",
    "entropy",
    "evaluate_members",
    "fit",
    "init_state",
    "join_processes",
    "kernels",
    "make_eval_step",
    "make_optimizer",
    "make_schedule",
    "make_train_step",
    "member_mesh",
    "over_batch",
    "over_members",
    "pad_members",
    "probabilities",
    "probability_strips",
    "records",
    "replicate",
    "segment",
    "stop_requests",
    "tables",
    "to_members",
    "train_members",
    "use_all_cores",
]
