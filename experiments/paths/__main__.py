"""Through how many blocks does a residual net's gradient come, and which can the net do without?

A residual net of 54 blocks is a sum over 2^54 paths. For CIFAR, Veit, Wilber & Belongie (2016,
arXiv:1605.06431) report that nearly all gradient comes through paths of 5 to 17 blocks, 0.45 % of
all paths, and that a residual net can lose any block, where a plain one fails.

Here the gradient through *all* paths of each length is computed exactly
(`analysis.path_gradients`), beside their sampling of single paths, for nets that learn to tell
textures apart. The nets differ by their arm alone:

    residual           branches scaled by 1/sqrt(L)
    residual_norm      batch norm, unscaled, as theirs
    residual_unscaled  neither; at initialization only, where theory gives the law Bin(L, 1/2)
    plain, plain_norm  without shortcuts, shallow
    plain_isometric    tanh and delta-orthogonal kernels, which also trains at 54 blocks (Xiao et
                       al. 2018, arXiv:1806.05393)

Then lesions are made: blocks are removed, one and many, and put in another order.

    python -m experiments.paths                    two and a half minutes on two cores
    python -m experiments.paths --preset full

It leaves study.json, summary.md, results.csv, paths.csv, singles.csv, lesions.csv and two figures
in --out. What is finished stays: a kill loses the net in progress and no more, and --resume goes
on, with more seeds or rates too.

Each net is judged at its own best rate, by its training loss.
"""

from experiments.launch import launch_study

if __name__ == "__main__":
    launch_study(__package__ or "", __doc__)
