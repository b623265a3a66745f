"""Every page is as its source says, has what it shows, and runs at its small size."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("jupytext", reason="make parity installs the notebooks' tools")
pytest.importorskip("nbmake")
pytest.importorskip("ipykernel")
pytest.importorskip("ipywidgets")

import nbformat

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.py"))
MOST = 4 * 2**20
"""Bytes of all pages together."""


@pytest.fixture(scope="module")
def build():
    """`notebooks/build_notebooks.py`."""
    sys.path.insert(0, str(ROOT / "notebooks"))
    yield importlib.import_module("build_notebooks")
    sys.path.remove(str(ROOT / "notebooks"))


def kept(source: Path) -> nbformat.NotebookNode:
    return nbformat.read(source.with_suffix(".ipynb"), as_version=4)


def test_there_is_a_page_a_heading(build):
    assert [int(page.name[:2]) for page in PAGES] == list(range(10))
    assert build.sources() == PAGES
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    assert [n.stem for n in notebooks] == [p.stem for p in PAGES]
    assert sum(n.stat().st_size for n in notebooks) < MOST


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_the_notebook_is_its_source_executed(page, build):
    made, source = kept(page), build.unexecuted(page)
    assert [(c.cell_type, c.id, c.source) for c in made.cells] == [
        (c.cell_type, c.id, c.source) for c in source.cells
    ], "the page has changed: make notebooks"
    nbformat.validate(made)
    code = [cell for cell in made.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]
    # What a reader without a kernel sees is a picture, not a widget of a kernel that is gone.
    shown = [o.data for o in outputs if "data" in o]
    assert sum("image/png" in data for data in shown) >= 2
    assert not [data for data in shown if build.WIDGET in data]
    panels = [c for c in code if "\nsliders(" in c.source or c.source.startswith("sliders(")]
    assert panels or page.stem.startswith("00")
    assert all("image/png" in cell.outputs[-1].data for cell in panels)


@pytest.mark.slow
def test_every_page_runs_at_its_small_size():
    quickly = {"JAXSEG_SMALL": "1", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    environment = os.environ | quickly | {"PYTHONPATH": str(ROOT)}
    # In a process of its own: this one's warnings are errors, Jupyter's own among them.
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbmake",
        "--nbmake-timeout=180",
        "-q",
        "-c",
        os.devnull,
        "--rootdir",
        str(ROOT),
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        *(str(page.with_suffix(".ipynb")) for page in PAGES),
    ]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout[-9000:] + done.stderr[-2000:]
    assert f"{len(PAGES)} passed" in done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_a_page_is_built_as_a_lesson(page, build):
    cells = build.unexecuted(page).cells
    texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
    whole = "\n".join(texts)
    assert "**What you will see**" in texts[0] or page.stem.startswith("00")
    assert whole.count("## Summary") == whole.count("## Exercises") == 1
    assert whole.count("<details><summary>Solution</summary>\n\n") == 3
    assert whole.count("\n\n</details>") == 3
    # A prediction is asked for before each figure with sliders, since the figure before it.
    asked = False
    for cell in cells:
        if cell.cell_type == "markdown":
            asked = asked or "**Predict" in cell.source
        elif "\nsliders(" in f"\n{cell.source}":
            assert asked, cell.source[-300:]
            asked = False
    # Previous, contents and next, at the top and at the end.
    number = PAGES.index(page)
    for neighbor in (*PAGES[max(number - 1, 0) : number], *PAGES[number + 1 : number + 2]):
        for text in (texts[0], texts[-1]):
            assert f"]({neighbor.stem}.ipynb)" in text


def test_results_are_small_and_have_a_command(build):
    stored = sorted((ROOT / "notebooks" / "results").iterdir())
    assert [path.name[:2] for path in stored] == ["02", "06", "08"]
    assert sum(path.stat().st_size for path in stored) < 300_000
    source = (ROOT / "notebooks" / "precompute.py").read_text()
    assert all(f'"{path.stem}' in source for path in stored)


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for line in page.read_text().splitlines():
            for target in line.split("](")[1:]:
                name = target.split(")")[0]
                assert name.startswith("http") or (page.parent / name).exists(), (page.name, name)


def test_figures_keep_their_rare_colors_in_few(build):
    pages = importlib.import_module("pages")
    import io

    import numpy as np
    from matplotlib.figure import Figure
    from PIL import Image

    figure = Figure(figsize=(4, 3))
    axes = figure.subplots()
    axes.imshow(np.random.default_rng(0).uniform(size=(40, 40)), cmap="gray")
    axes.plot([20], [20], "s", color="#e4572e", markersize=4)
    picture = np.asarray(Image.open(io.BytesIO(pages.png(figure))).convert("RGB"), int)
    assert (np.abs(picture - [0xE4, 0x57, 0x2E]).max(-1) < 12).any()


def test_sliders_draw_anew_and_say_what_is_wrong(build):
    pages = importlib.import_module("pages")
    import io

    import ipywidgets as widgets
    import numpy as np
    from matplotlib.figure import Figure
    from PIL import Image

    drawn = []

    def draw(number):
        if number > 3:
            raise ValueError("more than three")
        drawn.append(number)
        figure = Figure(figsize=(1, 1))
        figure.text(0.5, 0.5, f"{number}")
        return figure

    number = widgets.IntSlider(1, 0, 9)
    panel = pages.panel(draw, {"number": number})
    wrong, picture = panel.children[-2:]
    first = picture.value
    number.value = 2
    second = picture.value
    number.value = 5
    assert picture.value == second != first
    assert (drawn, wrong.value) == ([1, 2], "more than three")
    number.value = 1
    assert np.array_equal(
        *(np.asarray(Image.open(io.BytesIO(p)).convert("RGB")) for p in (first, picture.value))
    )
    assert wrong.value == ""


def test_a_figure_is_given_what_it_showed_before_and_says_that_it_is_drawn(build):
    pages = importlib.import_module("pages")
    import asyncio

    import ipywidgets as widgets
    from matplotlib.figure import Figure

    given = []

    def draw(number, before=None):
        given.append((number, before))
        return Figure(figsize=(1, 1))

    number = widgets.IntSlider(1, 0, 9)
    sign = pages.panel(draw, {"number": number}).children[-2]

    async def drag():
        for number.value in (2, 3, 4):
            assert sign.value == "drawing…"
        await asyncio.sleep(0.3)

    asyncio.run(drag())
    assert given == [(1, None), (4, {"number": 1})]  # only the last value is drawn
    assert sign.value == ""
    number.value = 5
    assert given[-1] == (5, {"number": 4})


def test_a_finished_run_is_loaded_and_not_trained_again(build, monkeypatch, tmp_path):
    precompute = importlib.import_module("precompute")
    import numpy as np

    trained = []

    def train(net, train_set, test_images, *, steps, rate, seed):
        trained.append(seed)
        predictions = np.zeros(test_images.shape[:3], np.uint8)
        return precompute.short_runs.Run(np.arange(steps, dtype=float), predictions)

    monkeypatch.setattr(precompute, "KEPT", tmp_path)
    monkeypatch.setattr(precompute.short_runs, "train", train)
    options = {"train": 1, "steps": 25, "rate": 1e-3, "seed": 4}
    first, again = (precompute.kept_run("net", None, **options) for _ in range(2))
    assert trained == [4]
    np.testing.assert_array_equal(first[0], again[0])
    assert first[1].shape == (precompute.SHOWN, 32, 32)
    assert first[2] == again[2]
    np.testing.assert_array_equal(precompute.binned(first[0]), [4.5, 14.5])
