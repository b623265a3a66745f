"""The `jaxseg` command: its subcommands and the first page of help. Imports nothing heavy."""

import difflib
import sys
from collections.abc import Sequence
from importlib import import_module

import jaxseg
from jaxseg.startup import launch

GROUPS = {
    "Your images": {
        "inspect": "look at a data set: classes, how often they occur, pictures with their labels",
        "train": "train a net on a data set, or go on with a run",
        "evaluate": "measure a trained net on a split: IoU, accuracy, boundaries, confusion",
        "predict": "segment images with a trained net",
        "export": "write a trained net as StableHLO and ONNX",
    },
    "Studies": {"merge": "join the shares of a study that several hosts have run"},
    "Nets": {"summary": "list a net's layers with receptive field, parameters and multiply-adds"},
}
COMMANDS = {name: text for group in GROUPS.values() for name, text in group.items()}
EXAMPLE = """\
jaxseg inspect --data.name folder --data.directory my_images
jaxseg train --data.name folder --data.directory my_images --out runs/mine
jaxseg predict --run runs/mine --images "new/*.jpg"
"""


def main(args: Sequence[str] | None = None) -> None:
    """Run a subcommand.

    Args:
        args: The command line without the program's name; None reads `sys.argv`.

    Raises:
        SystemExit: Always, with the exit status.
    """
    words = list(sys.argv[1:] if args is None else args)
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview())
        raise SystemExit(0 if words else 2)
    if words[0] == "--version":
        print(f"jaxseg {jaxseg.__version__}")
        raise SystemExit(0)
    name = words[0]
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, 1)
        meant = f" Did you mean {near[0]}?" if near else ""
        print(
            f"jaxseg: {name!r} is no command: give one of {', '.join(COMMANDS)}.{meant}",
            file=sys.stderr,
        )
        raise SystemExit(2)
    launch(f"jaxseg {name}", lambda: import_module(f"jaxseg.commands.{name}").command, words[1:])


def overview() -> str:
    """Write the first page of help."""
    lines = ["usage: jaxseg COMMAND [options]", ""]
    for group, commands in GROUPS.items():
        lines.append(f"{group}:")
        lines += [f"  {name:10}{text}" for name, text in commands.items()]
        lines.append("")
    lines += ["For example:", *(f"  {line}" for line in EXAMPLE.splitlines()), ""]
    lines.append("jaxseg COMMAND --help shows the options that people use, --help-all every one.")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
