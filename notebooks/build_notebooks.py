"""Execute every page into the .ipynb beside it: `make notebooks`.

    python notebooks/build_notebooks.py             # all pages
    python notebooks/build_notebooks.py 03 07       # those whose names begin so

What differs from run to run although the page does not (times, versions, widgets' numbers) is left
out, so that a page that has not changed gives the same file.
"""

import sys
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
WIDGET = "application/vnd.jupyter.widget-view+json"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def sources() -> list[Path]:
    """The pages, in order."""
    return sorted(HERE.glob("[0-9][0-9]_*.py"))


def unexecuted(source: Path) -> nbformat.NotebookNode:
    """A page as a notebook without outputs."""
    notebook = jupytext.read(source, fmt="py:percent")
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    )
    for number, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = f"cell-{number:02d}", nbformat.NotebookNode()
    return notebook


def executed(source: Path, *, timeout: int = 300) -> nbformat.NotebookNode:
    """A page with its outputs, as it is kept in git.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell that fails.
        ValueError: a cell that writes to stderr, as warnings do.
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
            output.get("data", {}).pop(WIDGET, None)  # it is of the kernel that is gone
            if "image/png" in output.get("data", {}):
                output.metadata = nbformat.NotebookNode()
    return notebook


def main(beginnings: list[str]) -> None:
    """Execute the pages asked for, all of them by default."""
    for source in sources():
        if beginnings and not source.name.startswith(tuple(beginnings)):
            continue
        began = time.perf_counter()
        notebook = executed(source)
        target = source.with_suffix(".ipynb")
        nbformat.write(notebook, target)
        kilobytes = target.stat().st_size / 1024
        print(f"{target.name}: {time.perf_counter() - began:.1f} s, {kilobytes:.0f} kB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
