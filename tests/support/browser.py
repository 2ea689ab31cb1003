"""A headless Chromium that a test drives, by the WebDriver protocol of chromedriver: plain HTTP and JSON."""

import base64
import json
import os
import re
import shutil
import urllib.error
import urllib.request

from group import eventually

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
_FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
          "--disable-background-networking", "--disable-component-update", "--disable-sync")


class Browser:
    """Started and ended by `with`. The process belongs to the test, which ends it in any case."""

    def __init__(self, test):
        home = {"HOME": test.home, "XDG_RUNTIME_DIR": test.home, "TMPDIR": test.home}
        driver = test.run_words(DRIVER, "--port=0", environment=home)
        port = eventually(lambda: re.search(rb"started successfully on port (\d+)", driver.out), "chromedriver")[1]
        self._url = f"http://127.0.0.1:{port.decode()}"
        self._profile = test.path("chromium")

    def __enter__(self):
        options = {"binary": CHROMIUM, "args": [*_FLAGS, f"--user-data-dir={self._profile}"]}
        capabilities = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}}
        self._url += "/session/" + self._call("POST", "/session", capabilities)["sessionId"]
        return self

    def __exit__(self, *_):
        self._call("DELETE", "")

    def open(self, url):
        self._call("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        """What the body of a function returns in the page."""
        return self._call("POST", "/execute/sync", {"script": script, "args": arguments})

    def text(self, selector):
        """Of the first such element, None if there is none."""
        return self.run("const e = document.querySelector(arguments[0]); return e && e.textContent;", selector)

    def press(self, selector, keys):
        element = next(iter(self._call("POST", "/element", {"using": "css selector", "value": selector}).values()))
        self._call("POST", f"/element/{element}/value", {"text": keys})

    def resize(self, width, height, dark=False):
        """The page as a screen of that size shows it."""
        self._devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        scheme = "dark" if dark else "light"
        self._devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def keep(self, name):
        """Takes a picture of the page; CURFEW_SCREENSHOTS=DIR keeps it."""
        shot = self.screenshot()
        assert shot.startswith(b"\x89PNG")
        if folder := os.environ.get("CURFEW_SCREENSHOTS"):
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, f"{name}.png"), "wb") as file:
                file.write(shot)

    def screenshot(self):
        """The whole page, as PNG."""
        shot = self._devtools("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

    def complaints(self):
        """What its console says of errors."""
        return [entry["message"] for entry in self._call("POST", "/se/log", {"type": "browser"}) if entry["level"] == "SEVERE"]

    def _devtools(self, command, **parameters):
        return self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def _call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data=data, method=method, headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"chromedriver: {method} {path}: {error.read().decode()[:500]}") from None
