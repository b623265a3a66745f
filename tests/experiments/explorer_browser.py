"""A page in a headless chromium, for the tests of the explorer."""


def errors(driver):
    """Messages of the console that are errors, since the last call."""
    return [e["message"] for e in driver.get_log("browser") if e["level"] in ("SEVERE", "WARNING")]


def open_page(driver, path, width=1000, height=900):
    """Open the page on a screen of that size; its maps are unpacked."""
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    driver.get(path.as_uri())
    driver.execute_async_script("const done = arguments[0]; window.ready.then(() => done());")


def run_cases(driver, body, cases):
    """What JavaScript makes of each case, in one call; an error is its name."""
    script = (
        f"const one = (c) => {{ {body} }};"
        "return arguments[0].map((c) => { try { return one(c); } catch (e) { return e.name; } });"
    )
    return driver.execute_script(script, cases)
