"""The lecture's figures, live, in one HTML file that needs no kernel and no network.

Five views: the arithmetic of convolutions and upconvolutions, step by step; what a pixel sees
through a chain of layers; the receptive fields of real nets; the size of the gradient through
depth; the checkerboards of upconvolutions. The receptive fields are computed here, by
`jaxseg.analysis.receptive_field`.

    python -m experiments.explorer                        a minute or two: runs/explorer.html
    python -m experiments.explorer --out explorer.html
    python -m experiments.explorer --measure              some minutes: measured.json as well

What is measured on random nets, effective fields and gradients, is in measured.json beside this
file; --measure draws the nets anew.
"""

from collections.abc import Sequence

from jaxseg.startup import launch


def command(args: Sequence[str] | None = None) -> None:
    """Read the command line and write the page."""
    from experiments.explorer.page import PRESETS, main
    from jaxseg import cli

    program = "python -m experiments.explorer"
    main(cli.parse(PRESETS, "all", description=__doc__, args=args, program=program))


if __name__ == "__main__":
    launch("explorer", lambda: command)
