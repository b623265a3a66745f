"""How deep can a segmentation net be trained, plain and residual?

The lecture's question on real pixels. Nets of 3x3 convolutions at full resolution, equal in
parameters, data, optimizer and seeds, differ by their arm alone:

    plain            He-initialized ReLU convolutions in a chain
    plain_norm       the same with batch norm
    plain_isometric  tanh and delta-orthogonal kernels: the fair control (Xiao et al. 2018)
    residual         shortcuts around two convolutions, branches scaled by 1/sqrt(L)
    residual_norm    shortcuts and batch norm, unscaled (He et al. 2016)

Each arm is judged at its own best learning rate by its training loss: degradation is a failure to
fit, not to generalize (He et al. 2015). A *trainable depth* is one whose median loss over the
seeds is below half of chance, ln(classes) / 2.

    python -m experiments.depth_scaling                              five minutes on two cores
    python -m experiments.depth_scaling --dataset camvid --size 60 80
    python -m experiments.depth_scaling --preset deepest             1,026 convolutions
    python -m experiments.depth_scaling --preset full --resume       three hours

It leaves study.json, summary.md, results.csv, gradients.csv, responses.csv and three figures in
--out. `full` takes a quarter of its time to 256 convolutions (--depths). What is finished stays: a
kill loses the arm and depth in progress and no more, and --resume goes on, with more depths, seeds
or rates too.
"""

from experiments.launch import launch_study

if __name__ == "__main__":
    launch_study(__package__ or "", __doc__)
