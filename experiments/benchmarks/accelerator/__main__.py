"""Is jaxseg right and fast on an accelerator? One command, in parts that can be resumed.

    smoke       every operation and net against the host, and every study at `tiny`
    exactness   5,000 drawn convolutions against float64, with TF32 off and on
    ops         operations mode by mode in every form and dtype; who runs them; PyTorch's
    training    train steps, ensembles, gradient norms by example: time, memory, compiling
    pipeline    the step's rate with images that are read, augmented and transferred meanwhile
    precision   bfloat16 beside float32: losses over the seeds
    studies     the depth studies at `full`
    streets     CamVid at 360 x 480 pixels, where JAXSEG_CAMVID names it

    make gpu                                                     at most eight minutes a part
    python -m experiments.benchmarks.accelerator --preset tiny   three minutes, on a CPU too

Each part writes a line of JSON as soon as something is measured, and stops between two of them when
its time is over; the same command goes on. It leaves PART.jsonl, PART.md and run.json in --out, and
its exit status is 1 where something failed or was inexact.
"""

from experiments.launch import launch_benchmark

if __name__ == "__main__":  # before JAX is imported: the first words come at once
    launch_benchmark(f"{__package__}.run", program=__package__)
