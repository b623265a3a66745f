"""Command lines: a frozen dataclass, presets of it, and flags for every field."""

import dataclasses
import difflib
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import docstring_parser
import tyro

Config = TypeVar("Config")
_HELP, _HELP_ALL = ("-h", "--help"), "--help-all"
_COLUMN = 32


def parse(
    presets: Mapping[str, Config],
    default: str,
    *,
    description: str | None,
    args: Sequence[str] | None,
    program: str = "",
    common: Sequence[str] = (),
) -> Config:
    """Read `--preset NAME`, and then any field of the configuration as a flag over it.

    Args:
        presets: Name -> a frozen dataclass with a field `preset`.
        default: The preset used where none is named.
        description: Shown by `--help`.
        args: The command line without the program's name; None reads `sys.argv`.
        program: The program's name in the usage line; "" is the script's.
        common: The fields that `--help` shows, dotted; all are shown by `--help-all`. Without
            any, `--help` shows them all.

    Raises:
        ValueError: The preset is unknown.
        SystemExit: Help was asked for, or the command line does not parse.
    """
    words = list(sys.argv[1:] if args is None else args)
    name = _preset(words, default)
    if name not in presets:
        near = difflib.get_close_matches(name, presets, 1)
        meant = f" Did you mean {near[0]}?" if near else ""
        raise ValueError(f"preset {name!r} is unknown: give one of {', '.join(presets)}.{meant}")
    base: Any = dataclasses.replace(presets[name], preset=name)  # type: ignore[type-var]
    if common and any(word in _HELP for word in words):
        print(_short_help(base, common, description or "", program))
        raise SystemExit(0)
    words = ["--help" if word == _HELP_ALL else word for word in words]
    return tyro.cli(
        type(base), default=base, description=description, prog=program or None, args=words
    )


def _preset(words: Sequence[str], default: str) -> str:
    """Find the preset that a command line names."""
    name = default
    for place, word in enumerate(words):
        if word == "--preset" and place + 1 < len(words):
            name = words[place + 1]
        elif word.startswith("--preset="):
            name = word.split("=", 1)[1]
    return name


def _short_help(config: Any, common: Sequence[str], description: str, program: str) -> str:
    """Describe the options that people use."""
    width = min(100, shutil.get_terminal_size().columns)
    lines = [f"usage: {program} [options]", "", description.strip(), "", "options:"]
    for name in common:
        text, value = _describe(config, name)
        flag = "  --" + name.replace("_", "-")
        shown = " ".join(map(str, value)) if isinstance(value, tuple) else value
        wrapped = textwrap.wrap(f"{text} ({shown})" if text else f"({shown})", width - _COLUMN)
        if len(flag) >= _COLUMN:
            lines.append(flag)
            flag = ""
        lines += [f"{flag:{_COLUMN}}{wrapped[0]}", *(" " * _COLUMN + line for line in wrapped[1:])]
    lines += ["", f"All options: {program} {_HELP_ALL}"]
    return "\n".join(lines)


def _describe(config: Any, name: str) -> tuple[str, Any]:
    """Return what a dotted field's docstring says of it, and its value."""
    *path, last = name.split(".")
    for part in path:
        config = getattr(config, part)
    for kind in type(config).__mro__:
        for parameter in docstring_parser.parse(kind.__doc__ or "").params:
            if parameter.arg_name == last:
                text = " ".join((parameter.description or "").split())
                return text.removesuffix("."), getattr(config, last)
    return "", getattr(config, last)
