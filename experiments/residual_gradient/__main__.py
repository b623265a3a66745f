"""What becomes of a gradient on its way back through a deep net, before any training?

The gradient of a plain chain of layers vanishes, explodes or turns into noise with depth; a
shortcut carries it through (He et al. 2016, arXiv:1603.05027). Six arms of random ReLU nets,
hundreds of seeds each, are compared with closed forms of the wide limit; nothing is fitted:

    plain            W relu(x)
    plain_norm       W relu(norm(x)), batch norm over the examples
    residual         x + W relu(x)
    residual_scaled  x + W relu(x) / sqrt(L)
    residual_norm    x + W relu(norm(x))
    residual_zero    x + 0 W relu(x): the start of Fixup and SkipInit

Each of six parts is measured by itself:

    profiles   by layer: size and correlation of activations and gradients, a branch's share
    depths     the correlation of the gradients at two inputs, and the gradient's growth, by depth
               (Balduzzi et al. 2017, arXiv:1702.08591)
    neighbors  that correlation by the angle between the inputs
    batches    how fast gradients explode with batch norm (Yang et al. 2019, arXiv:1902.08129)
    widths     the spread of logarithms of norms over the seeds (Hanin 2018, arXiv:1801.03744)
    paths      whether the path from block to block is the identity

    python -m experiments.residual_gradient                  two minutes on two cores
    python -m experiments.residual_gradient --resume --seeds 256
    python -m experiments.residual_gradient --preset full

It leaves study.json, summary.md, results.csv, log_growth.csv and three figures in --out. A kill
loses the part in progress and no more, and --resume goes on. With more seeds, the parts that were
measured with fewer are measured anew, and their rows are replaced.

Whether such a net can be trained is the question of `experiments.depth_scaling`.
"""

from experiments.launch import launch_study

if __name__ == "__main__":
    launch_study(__package__ or "", __doc__)
