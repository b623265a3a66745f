"""Long and short skips: what either does for a deep segmentation net, alone and together.

A U-Net of one width whose levels are stacks of many blocks, with batch norm, trained by SGD with
momentum in a 2x2 design (Drozdzal et al. 2016, arXiv:1608.04117):

    no skips       a plain chain, down and up again
    long skips     features of the way down added to those of the way up
    short skips    a shortcut around every two convolutions
    both

No skip has a parameter, so all four arms have the same. Each is judged at its own best rate, by
its training loss first; and the update of every layer's kernel over every epoch, relative to the
kernel, shows where learning happens.

    python -m experiments.long_skips                   two minutes on two cores
    python -m experiments.long_skips --preset full     116 convolutions

It leaves study.json, summary.md, results.csv, long_skips.png and updates.png in --out. A kill loses
the arm in progress and no more: --resume goes on, with more seeds or rates too.

Orders hold only where the seeds' ranges are apart. How even updates are is judged in two ways,
epoch by epoch and averaged over the epochs; the first, and the comparison of the bottom with the
full resolution, are marked as exploratory. Not studied here: nets without a norm, long skips that
concatenate, other optimizers than momentum (the size of Adam's updates does not depend on that of
the gradient).
"""

from experiments.launch import launch_study

if __name__ == "__main__":
    launch_study(__package__ or "", __doc__)
