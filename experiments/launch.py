"""Main programs of studies and benchmarks, whose imports are slow: the first words come at once."""

from importlib import import_module

from jaxseg.startup import launch


def launch_study(package: str, description: str | None) -> None:
    """Be the main program of a study's package, which holds `config.PRESETS` and `study.run`.

    Args:
        package: The package, such as "experiments.dilation": `__package__` of its `__main__`.
        description: Shown by `--help`: `__doc__` of its `__main__`.

    Raises:
        SystemExit: Always, with the exit status.
    """
    name = package.rpartition(".")[2]

    def load():
        command = import_module("jaxseg.studies").command
        presets = import_module(f"{package}.config").PRESETS
        run = import_module(f"{package}.study").run
        return lambda args: command(
            name, run, presets, description=description, program=f"python -m {package}", args=args
        )

    launch(name, load)


def launch_benchmark(module: str, *, program: str | None = None) -> None:
    """Be the main program of a benchmark, whose imports are slow and follow behind this call.

    Args:
        module: The benchmark's module, such as "experiments.benchmarks.ops". It holds PRESETS, of
            which "full" is the default, and `main(config)`.
        program: Name of the module that is run, where it is another one.

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
                program=f"python -m {program or module}",
                args=args,
            )
        )

    launch(
        (program or module).rpartition(".")[2], load, keeps_programs=False
    )  # some measure compiling
