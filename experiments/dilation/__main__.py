"""What do striding, dilation and plain convolutions bring to a segmentation net?

Nets of six 3x3 convolutions, equal in parameters, data, optimizer, learning rates and seeds,
differ by their strides and rates alone:

    plain            rate 1
    strided          two strides of 2; the scores are resized bilinearly
    strided_wide     the same, as wide as the multiply-adds of the others allow
    dilated          rates 1, 1, 2, 2, 4, 4: sees what `strided` sees, at every pixel
    cascade          rate 2 throughout: gridding (Wang et al. 2018)
    hybrid_123, _125 rates 1, 2, 3 or 1, 2, 5, twice: the remedy of Wang et al. 2018
    degridded        rates fall back to 1 at the end: the remedy of Yu et al. 2017

Measured of each: training loss, mean IoU and pixel accuracy; the theoretical receptive field, and
the width of the effective one (Luo et al. 2016) before and after training; and how much of the
logits repeats at the period of the dilation (`analysis.gridding_energy`), before and after.

    python -m experiments.dilation                     three minutes on two cores
    python -m experiments.dilation --preset camvid
    python -m experiments.dilation --preset full --resume

It leaves study.json, summary.md, results.csv, fields.csv and three figures in --out. What is
finished stays: a kill loses the arm in progress and no more, and --resume goes on, with more seeds
or rates too.

Each arm is shown at its own best rate, by its training loss. An order is said to hold only where
the seeds' ranges are apart; three seeds show large differences alone, and with other rates and
steps some orders of IoU came out otherwise. `gridding_energy` compares with neighboring
frequencies, which `degridded` damps as well: in its spectra far less of all power is at the period
than in those of `cascade`, whatever that ratio says.

Not studied here: nets of real depth, upconvolved scores in place of resized ones
(`experiments.upconvolution`), residual nets (`experiments.output_stride`).
"""

from experiments.launch import launch_study

if __name__ == "__main__":
    launch_study(__package__ or "", __doc__)
