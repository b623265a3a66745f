"""A page of two nets in a headless chromium.

It needs selenium (`pip install '.[browser]'`) and a chromium with its driver on the path; without
them the tests are skipped.
"""

import shutil

import pytest
from explorer_browser import open_page

from experiments.explorer import page, tables
from experiments.explorer.nets import EXPLORED

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync")
NETS = ("Three layers of rate 2", "ResNet-50, stride on the 3x3 (v1.5)")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A page of two nets."""
    folder, measured = tmp_path_factory.mktemp("explorer"), tables.read_measured()
    nets = {name: EXPLORED[name]._replace(size=min(EXPLORED[name].size, 128)) for name in NETS}
    fields = tables.field_tables(nets, measured["effective"], 3)
    data = {"fields": fields, "depth": measured["depth"], "about": measured["about"]}
    (folder / "explorer.html").write_text(page.render(data), encoding="utf-8")
    return folder / "explorer.html"


@pytest.fixture(scope="module")
def driver(path):
    """A headless chromium that keeps its console's messages."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="pip install '.[browser]'")
    if not (BROWSER and DRIVER):
        pytest.skip("there is no chromium with its driver")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for option in (*OPTIONS, f"--user-data-dir={path.parent / 'profile'}"):
        options.add_argument(option)
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    driver.set_script_timeout(60)
    yield driver
    driver.quit()


@pytest.fixture
def opened(driver, path):
    """The page on a desktop."""
    open_page(driver, path)
    return driver
