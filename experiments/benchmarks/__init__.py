"""Benchmarks: what jaxseg costs beside plain XLA and PyTorch, and how exact it is."""

from importlib import import_module

from jaxseg.startup import launch


def launch_benchmark(module: str) -> None:
    """Be the main program of a benchmark, whose imports are slow and follow behind this call.

    Args:
        module: The benchmark's module, such as "experiments.benchmarks.ops". It holds PRESETS, of
            which "full" is the default, and `main(config)`.

    Raises:
        SystemExit: Always, with the exit status; see `jaxseg.startup.launch`.
    """

    def load():
        benchmark, parse = import_module(module), import_module("jaxseg.cli").parse
        return lambda args: benchmark.main(
            parse(
                benchmark.PRESETS,
                "full",
                description=benchmark.__doc__,
                program=f"python -m {module}",
                args=args,
            )
        )

    launch(module.rpartition(".")[2], load)
