"""What does a finer output stride bring, and what does it cost? Do an FCN's skips replace it?

Nets with one encoder (a narrow ResNet-18), the same data, steps and seeds:

    stride 32, 16, 8, 4     the last stages dilate instead of striding; equal parameters, one score
                            every so many pixels
    fcn32s, fcn16s, fcn8s   scores of one, two or three stages, upconvolved (Long et al. 2015)

The claims are that the IoU falls as the output stride rises (Chen et al. 2017, arXiv:1706.05587; Yu
et al. 2017, arXiv:1705.09914), and that it rises with each skip (Long et al. 2015,
arXiv:1411.4038).

    python -m experiments.output_stride                  a quarter of an hour on two cores
    python -m experiments.output_stride --resume --seeds 3
    python -m experiments.output_stride --preset camvid --directory DIR

It leaves study.json, summary.md, results.csv, classes.csv and output_stride.png in --out, and every
run in a folder of its own, as `jaxseg train` and `jaxseg evaluate` leave it. A kill loses nothing
that a run has saved, and --resume goes on, with more arms or seeds too.

An order is said to hold only where the ranges of the seeds are apart. The preset camvid, of one
seed, cannot show one: give it --seeds 3.
"""

from experiments.launch import launch_study

if __name__ == "__main__":
    launch_study(__package__ or "", __doc__)
