"""Each view of the explorer in a real browser: keys, controls, themes, sizes; no error, no request.

JAXSEG_SCREENSHOTS names a folder for pictures.
"""

import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from explorer_browser import errors, open_page, run_cases

from experiments.explorer import tables
from experiments.explorer.nets import EXPLORED
from jaxseg import ops
from jaxseg.analysis import receptive_field

pytest.importorskip("selenium", reason="pip install '.[browser]'")

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

VIEWS = ("convolution", "chain", "field", "depth", "checkerboard")


@pytest.mark.parametrize(
    ("kernel", "stride", "words"),
    [(3, 2, "squared: 4."), (5, 2, "squared: 2.25."), (4, 2, "is even"), (2, 3, "never painted")],
)
def test_what_is_said_of_checkerboards(opened, kernel, stride, words):
    case = {"kernel": kernel, "stride": stride, "depth": 1}
    assert words in run_cases(opened, "return Checkerboard.story(c);", [case])[0]


def test_the_shades_drawn_are_those_of_the_table(opened):
    """The holes of three layers of rate 2, read back from the packed maps."""
    script = """
      const done = arguments[0];
      Field.unpack(DATA.fields.maps).then((maps) => {
        const layer = DATA.fields.nets[0].layers.at(-1);
        const pixel = Field.pixelAt(layer, 1, 1), rows = [];
        for (let i = 0; i <= pixel.bottom - pixel.top; i += 1) {
          rows.push([]);
          for (let j = 0; j <= pixel.right - pixel.left; j += 1)
            rows[i].push(Field.shadeAt(maps[pixel.map], pixel.transposed, i, j) > 0);
        }
        done([layer.rows[1], layer.columns[1], rows]);
      });
    """
    row, column, seen = opened.execute_async_script(script)
    field = dict(tables.fields(EXPLORED["Three layers of rate 2"]))["layer3"]
    (top, bottom), (left, right) = field.window((row, column))
    coverage = field.coverage((row, column))[top : bottom + 1, left : right + 1]
    np.testing.assert_array_equal(seen, coverage)
    assert coverage.sum() == 49


KEYS = {
    "convolution": (Keys.ARROW_RIGHT, Keys.END, Keys.HOME),
    "chain": (Keys.ARROW_RIGHT, Keys.ARROW_LEFT),
    "field": (Keys.ARROW_RIGHT, Keys.ARROW_UP, Keys.PAGE_DOWN),
    "depth": (Keys.ARROW_RIGHT, Keys.ARROW_UP),
    "checkerboard": (Keys.ARROW_RIGHT, Keys.ARROW_UP),
}


@pytest.mark.parametrize("view", VIEWS)
def test_every_key_changes_the_view(opened, view):
    root = opened.find_element(By.ID, f"view-{view}")
    stage = root.find_element(By.CSS_SELECTOR, ".stage")
    state = """
      const pictures = [...arguments[0].querySelectorAll("canvas")].map((c) => c.toDataURL());
      return [arguments[0].innerHTML, ...pictures].join();
    """
    for key in KEYS[view]:
        before = opened.execute_script(state, root)
        stage.send_keys(key)
        assert opened.execute_script(state, root) != before, key
    assert errors(opened) == []


def test_the_space_bar_plays_and_pauses(opened):
    root = opened.find_element(By.ID, "view-convolution")
    stage, play = (root.find_element(By.CSS_SELECTOR, name) for name in (".stage", ".play"))
    stage.send_keys(" ")
    assert "Pause" in play.text
    stage.send_keys(" ")
    assert "Play" in play.text


@pytest.mark.parametrize("view", VIEWS)
def test_every_control_works_without_an_error(opened, view):
    """Each control is set to its first and last value, each button is pressed."""
    script = """
      const root = document.getElementById(arguments[0]);
      const tell = (node, type) => node.dispatchEvent(new Event(type, { bubbles: true }));
      for (const input of root.querySelectorAll("input[type=range], input[type=number]")) {
        for (const value of [input.min, input.max, input.value]) {
          input.value = value; tell(input, "input"); tell(input, "change");
        }
      }
      for (const select of root.querySelectorAll("select")) {
        for (const option of [...select.options].reverse()) {
          select.value = option.value; tell(select, "change");
        }
      }
      for (const box of root.querySelectorAll("input[type=checkbox]")) { box.click(); box.click(); }
      for (const button of root.querySelectorAll("button")) button.click();
      return /NaN|undefined|Infinity/.test(root.innerHTML);
    """
    assert opened.execute_script(script, f"view-{view}") is False
    assert errors(opened) == []


def test_nothing_is_requested(opened):
    requested = "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    assert opened.execute_script(requested) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_is_wider_than_the_screen(driver, path, width, theme):
    open_page(driver, path, width)
    driver.execute_script("document.documentElement.dataset.theme = arguments[0]", theme)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    wide = """
      return [...document.querySelectorAll("body *")]
        .filter((node) => node.getBoundingClientRect().right > innerWidth + 1)
        .filter((node) => !node.closest("svg > *")).map((node) => node.outerHTML.slice(0, 80));
    """
    assert driver.execute_script(wide) == []
    _keep(driver, f"explorer_{width}_{theme}")


def test_a_field_explores_itself(driver, tmp_path):
    def net(x):
        return ops.max_pool(ops.conv(x, jnp.ones((3, 3, 1, 1)), dilation=2), 2)

    field = receptive_field(net, jax.ShapeDtypeStruct((1, 20, 30, 1), jnp.float32))
    field.explore(tmp_path / "field.html", title="<b>A net</b>")
    driver.get((tmp_path / "field.html").as_uri())
    wait = """
      const look = (done) => document.querySelector(".readout").textContent ? done()
        : setTimeout(look, 50, done);
      look(arguments[0]);
    """
    driver.execute_async_script(wait)
    text = driver.find_element(By.TAG_NAME, "main").text
    assert "<b>A net</b>" in text
    (top, bottom), _ = field.window((5, 7))
    assert f"Output pixel (5, 7) of 10 × 15 sees rows {top}–{bottom}" in text
    assert errors(driver) == []


def _keep(driver, name):
    folder = os.environ.get("JAXSEG_SCREENSHOTS")
    if folder:
        driver.save_screenshot(str(Path(folder) / f"{name}.png"))
