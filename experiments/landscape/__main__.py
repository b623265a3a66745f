"""Do shortcuts smooth the loss surface of deep nets?

Li et al. (2018, arXiv:1712.09913) draw the loss around trained parameters along two random
directions, each of whose filters has the norm of the net's own filter: the surfaces of deep plain
nets look chaotic, those of residual ones convex. Here plain and residual nets (branches scaled by
1/sqrt(L), no norm, equal parameters) are trained from several seeds, each arm at its own best
rate, and around each net are measured

    the surface                on a grid, and the share of it below chance (what training can roll
                               down from)
    its curvatures             and the share of the grid, inside what is below chance, where the
                               lower one is negative
    its border                 the loss as far away as the filters are long
    filter-normalized          curvature u'Hu, the mean over several directions u
    the Hessian's eigenvalues  the outermost ones, which rescaling a layer changes

    python -m experiments.landscape                    two minutes on two cores
    python -m experiments.landscape --preset full

It leaves study.json, summary.md, results.csv, shapes.csv and two figures in --out. What is finished
stays: a kill loses the net in progress and no more, and --resume goes on, with more depths, seeds
or rates too.

Orders hold only where the seeds' ranges are apart, and where both nets have learned; around a net
that has learned nothing there is no minimum whose shape could be compared. The comparison of the
borders is marked as exploratory.
"""

from experiments.launch import launch_study

if __name__ == "__main__":
    launch_study(__package__ or "", __doc__)
