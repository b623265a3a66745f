"""Strict everywhere: two CPU devices, no silent promotion, shapes checked, warnings as errors."""

import gc
from pathlib import Path

import jax

jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

from jaxseg.compile_cache import keep_programs  # noqa: E402

# A second run of the suite compiles hardly anything, and its processes share what they compile.
keep_programs()

# JAX keeps so many objects that looking for cycles among them takes a tenth of the suite's time.
gc.set_threshold(100_000, 50, 50)

# Compilation makes the first example slow; the drawn examples are the same on every run.
settings.register_profile(
    "jaxseg", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("jaxseg")

AS_USERS_COMPILE = ("ops", "training", "interop")
"""Folders that are tested as users compile, whatever their tests are marked with."""


def pytest_collection_modifyitems(items):
    """`make test` compiles the rest without XLA's optimizations, in a third of the time."""
    root = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(root).parts[0]
        if folder in AS_USERS_COMPILE or folder.endswith(".py"):
            item.add_marker("optimized")


@pytest.fixture
def x64():
    """Float64 inside one test."""
    with jax.enable_x64(True):
        yield
