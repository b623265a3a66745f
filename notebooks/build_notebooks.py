"""Execute the pages into the .ipynb files beside them: `make notebooks`.

    python notebooks/build_notebooks.py             # all pages
    python notebooks/build_notebooks.py 03 07       # the pages whose names begin with 03 or 07

Times, versions and the ids of widgets are left out, so that an unchanged page gives the same file.
"""

import sys
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

from jaxseg.ops import native

HERE = Path(__file__).parent
WIDGET = "application/vnd.jupyter.widget-view+json"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def sources() -> list[Path]:
    """List the pages in order."""
    return sorted(HERE.glob("[0-9][0-9]_*.py"))


def unexecuted(source: Path) -> nbformat.NotebookNode:
    """Read a page as a notebook without outputs."""
    notebook = jupytext.read(source, fmt="py:percent")
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    )
    for number, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = f"cell-{number:02d}", nbformat.NotebookNode()
    return notebook


def executed(source: Path, *, timeout: int = 300) -> nbformat.NotebookNode:
    """Execute a page, and keep of its outputs what is committed.

    Args:
        source: The page's `.py` file.
        timeout: Most seconds that a cell may take.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell fails.
        ValueError: A cell writes to stderr, as warnings do.
    """
    notebook = unexecuted(source)
    client = NotebookClient(notebook, timeout=timeout, resources={"metadata": {"path": str(HERE)}})
    client.execute()
    _, notebook = nbformat.validator.normalize(notebook)
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    )
    for cell in notebook.cells:
        cell.metadata = nbformat.NotebookNode()
        for output in cell.get("outputs", ()):
            if output.get("name") == "stderr":
                raise ValueError(f"{source.name} writes to stderr: {output.text}")
            output.get("data", {}).pop(WIDGET, None)  # its kernel has ended
            if "image/png" in output.get("data", {}):
                output.metadata = nbformat.NotebookNode()
    return notebook


def main(prefixes: list[str]) -> None:
    """Execute the pages whose names begin with a prefix, or all pages."""
    native.status()  # compiles its library here, if at all: its message must not be a page's output
    for source in sources():
        if prefixes and not source.name.startswith(tuple(prefixes)):
            continue
        start = time.perf_counter()
        notebook = executed(source)
        target = source.with_suffix(".ipynb")
        nbformat.write(notebook, target)
        kilobytes = target.stat().st_size / 1024
        print(f"{target.name}: {time.perf_counter() - start:.1f} s, {kilobytes:.0f} kB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
