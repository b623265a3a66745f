"""To what depth can a random net be trained, and how fast may it learn?

Two parts, on neighborhoods of pixels of photographs, to be told apart by what their middle shows:

1. The phase diagram. The weight variance of a plain tanh net decides whether two inputs become
   alike (order) or unlike (chaos) from layer to layer, and the depth scale xi_c how soon.
   Mean-field theory says that nets train to about 6 xi_c (Schoenholz et al. 2017,
   arXiv:1611.01232; Xiao et al. 2018, arXiv:1806.05393). The same layers as residual branches
   divided by sqrt(L) have no such edge.
2. Depth transfer. The best learning rate of residual nets against depth, for branches divided by
   sqrt(L), for which it should not move (Bordelon et al. 2023, arXiv:2309.16620; Yang et al. 2023,
   arXiv:2310.02244), for branches as they are, and for branches behind a learned scale that starts
   at 0 (De & Smith 2020, arXiv:2002.10444; Bachlechner et al. 2020, arXiv:2003.04887).

All runs of one depth are trained by one compiled call. Each arm is judged at its own best rate, by
its training loss; a net *trains* if its median loss over the seeds is below half of chance.

    python -m experiments.trainability                  two to three minutes on two cores
    python -m experiments.trainability --resume --seeds 4 --block-seeds 5
    python -m experiments.trainability --preset full --resume

It leaves study.json, summary.md, results.csv, phase_diagram.png and depth_transfer.png in --out. A
kill loses the depth in progress and no more, and --resume goes on, with more depths, weight
variances, seeds or rates too. The findings are those of the runs that the configuration names;
other runs stay in results.csv.
"""

from experiments.launch import launch_study

if __name__ == "__main__":
    launch_study(__package__ or "", __doc__)
