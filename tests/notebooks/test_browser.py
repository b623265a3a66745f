"""Two pages in a real browser: a slider moves, and the figure with it.

They need JupyterLab and selenium (`pip install '.[notebooks,browser]' jupyterlab`), and a
chromium with its driver on the path; without them they are skipped. JAXSEG_SCREENSHOTS names a
folder for pictures.
"""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("jupyterlab", reason="pip install '.[notebooks,browser]' jupyterlab")
pytest.importorskip("selenium")
pytest.importorskip("ipywidgets")

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

ROOT = Path(__file__).parents[2]
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1300,1500",
)
PATIENCE = 180

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="there is no chromium with its driver"),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab on a copy of the pages, with its token."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    environment = os.environ | {
        "JAXSEG_SMALL": "1",
        "PYTHONPATH": str(ROOT),
        "HOME": str(folder),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_RUNTIME_DIR": str(folder / "run"),
    }
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--ip=127.0.0.1",
        f"--port={port}",
        f"--IdentityProvider.token={token}",
        "--expose-app-in-browser",
        "--allow-root",
        f"--ServerApp.root_dir={folder / 'notebooks'}",
    ]
    with (folder / "lab.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            _wait_for(f"http://127.0.0.1:{port}/api", folder / "lab.log")
            yield f"http://127.0.0.1:{port}", token
        finally:
            server.terminate()
            server.wait(30)


def _wait_for(address: str, log: Path) -> None:
    for _ in range(PATIENCE * 2):
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise RuntimeError(log.read_text())


@pytest.fixture
def browser(tmp_path):
    """A headless chromium of its own."""
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for option in (*OPTIONS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(option)
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def _picture(browser, panel: int) -> str:
    """Where the browser has the picture of a panel of sliders."""
    images = browser.find_elements(By.CSS_SELECTOR, ".widget-vbox img.widget-image")
    return images[panel].get_attribute("src") if len(images) > panel else ""


def _keep(browser, name: str) -> None:
    folder = os.environ.get("JAXSEG_SCREENSHOTS")
    if folder:
        browser.save_screenshot(str(Path(folder) / f"{name}.png"))


@pytest.mark.parametrize(
    ("page", "moves"),
    [
        ("01_receptive_field_striding", {"depth": Keys.ARROW_RIGHT, "stride": Keys.ARROW_LEFT}),
        ("04_upconvolution", {"kernel": Keys.ARROW_RIGHT, "padding": Keys.ARROW_RIGHT}),
        ("07_residual_gradient", {"shortcut λ": Keys.ARROW_LEFT}),
    ],
)
def test_a_slider_moves_the_figure(lab, browser, page, moves):
    address, token = lab
    # A workspace of its own: else the page of the test before is opened as well.
    browser.get(f"{address}/lab/workspaces/{page}/tree/{page}.ipynb?token={token}")
    wait = WebDriverWait(browser, PATIENCE)
    wait.until(
        lambda b: b.execute_script(
            "return !!(window.jupyterapp && jupyterapp.shell.currentWidget"
            " && jupyterapp.shell.currentWidget.sessionContext"
            " && jupyterapp.shell.currentWidget.sessionContext.session"
            " && jupyterapp.shell.currentWidget.sessionContext.session.kernel"
            " && document.querySelector('.jp-Notebook .jp-Cell'))"
        )
    )
    # Not waited for: the promise ends with the last cell.
    browser.execute_script(
        "jupyterapp.commands.execute('application:toggle-left-area').catch(() => null);"
        "jupyterapp.commands.execute('notebook:run-all-cells');"
    )

    def scrolled(b):
        """Cells out of sight are not drawn: look for the first panel from the top."""
        b.execute_script(
            "const n = document.querySelector('.jp-Notebook .jp-WindowedPanel-outer')"
            " || document.querySelector('.jp-Notebook');"
            "n.scrollTop = (n.scrollTop + 250) % Math.max(n.scrollHeight, 1);"
        )
        time.sleep(0.4)
        return _picture(b, 0)

    wait.until(scrolled)
    panel = browser.find_element(By.CSS_SELECTOR, ".widget-vbox")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", panel)
    time.sleep(2)
    _keep(browser, f"{page}_before")
    seen = {_picture(browser, 0)}
    for name, key in moves.items():
        (slider,) = [
            s
            for s in panel.find_elements(By.CSS_SELECTOR, ".widget-hslider")
            if s.find_element(By.CSS_SELECTOR, ".widget-label").text == name
        ]
        readout = slider.find_element(By.CSS_SELECTOR, ".widget-readout")
        value = readout.text
        slider.find_element(By.CSS_SELECTOR, ".noUi-handle").send_keys(key)
        wait.until(lambda b, readout=readout, value=value: readout.text != value)
        wait.until(lambda b: _picture(b, 0) not in {*seen, ""})
        seen.add(_picture(browser, 0))
    assert len(seen) == 1 + len(moves)
    time.sleep(1)
    _keep(browser, f"{page}_after")
