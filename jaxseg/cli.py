"""Command lines of experiments: a frozen dataclass, presets of it, and flags for every field."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import tyro

Config = TypeVar("Config")


def parse(
    presets: Mapping[str, Config],
    default: str,
    *,
    description: str | None,
    args: Sequence[str] | None,
) -> Config:
    """Read `--preset NAME` and then any field of the configuration as a flag over it.

    Args:
        presets: name -> a frozen dataclass with a field `preset`.
        default: the preset used where none is named.
        description: shown by `--help`.
        args: the command line without the program's name; None reads `sys.argv`.

    Raises:
        ValueError: an unknown preset.
    """
    words = list(sys.argv[1:] if args is None else args)
    name = default
    for i, word in enumerate(words):
        if word == "--preset" and i + 1 < len(words):
            name = words[i + 1]
        elif word.startswith("--preset="):
            name = word.split("=", 1)[1]
    if name not in presets:
        raise ValueError(f"preset {name!r} is unknown: give one of {', '.join(presets)}.")
    base = replace(presets[name], preset=name)  # type: ignore[type-var]
    return tyro.cli(type(base), default=base, description=description, args=words)
