"""What does a pixel see? Receptive fields of nets, exactly, and how much of them is looked at.

Eight questions, each with what theory says beside what is measured:

    nets          the fields of AlexNet, VGG, ResNets, U-Nets, DeepLabV3 and published ones
    growth        the field by depth: plain, pooled, strided, dilated
    gridding      the pixels that dilated convolutions miss
    checkerboard  the uneven number of paths behind an upconvolution
    hybrid        a rule against gridding, judged on all triples of rates (Wang et al. 2018)
    paths         variance and kurtosis of the paths of a chain
    tools         the fields by the rules that three other tools document
    effective     in random nets the gradient's width grows as the root of the depth (Luo et al.
                  2016)

    python -m experiments.receptive_field                  under two minutes on two cores
    python -m experiments.receptive_field --preset tiny
    python -m experiments.receptive_field --resume --seeds 128

It leaves study.json, summary.md, results.csv (every number) and ten figures in --out. A kill loses
the question or the random nets in progress and no more, and --resume goes on. With more seeds, the
widths that were measured with fewer are measured anew, and their rows are replaced. Where a number
is not as expected, the command says so and fails after everything is written.
"""

from experiments.launch import launch_study

if __name__ == "__main__":
    launch_study(__package__ or "", __doc__)
