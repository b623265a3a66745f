"""What is an upconvolution, when does it leave checkerboards, and does training remove them?

Nets with one encoder differ by how they double height and width, twice, without a skip:

    upconv k2s2, k3s2, k4s2   dilate the input, then convolve; random kernels (Dumoulin & Visin
                              2016, arXiv:1603.07285)
    upconv bilinear           k4s2, initialized to bilinear interpolation (Long et al. 2015,
                              arXiv:1411.4038)
    sub-pixel, and with ICNR  a 2x2 convolution and a pixel shuffle (Shi et al. 2016,
                              arXiv:1609.05158), initialized to nearest-neighbor upsampling
                              (Aitken et al. 2017, arXiv:1707.02937)
    resize nearest, bilinear  then a 4x4 convolution (Odena et al. 2016,
                              doi:10.23915/distill.00003)

All have the same number of weights, 16 for each pair of channels, except k2s2 (4) and k3s2 (9); a
sub-pixel layer has four times as many biases. The study checks the algebra in float64, compares
layers at initialization with theory, and follows the energy of checkerboards in logits and
gradients (`analysis.checkerboard_energy`) while nets learn mosaics of textures.

    python -m experiments.upconvolution                    three minutes on two cores
    python -m experiments.upconvolution --preset full

It leaves study.json, summary.md, results.csv, initial.csv, energies.csv and five figures in --out.
What is finished stays: a kill loses the arm in progress and no more, and --resume goes on, with
more seeds or rates too.

Each arm is judged at its own best rate, by its training loss, and an order holds only where the
seeds' ranges are apart. A table has the energies at all rates: a net without a checkerboard at
initialization gets one sooner the faster it is trained. Not studied here: decoders with skips,
which hide much of this, and images that are generated rather than labeled.
"""

from experiments.launch import launch_study

if __name__ == "__main__":
    launch_study(__package__ or "", __doc__)
