"""A headless Chromium through chromedriver's own HTTP interface, enough for testing a page."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DRIVER, BROWSER = shutil.which("chromedriver"), shutil.which("chromium") or shutil.which("chromium-browser")
MISSING = (
    ""
    if DRIVER and BROWSER
    else "chromium and chromedriver are not installed (apt-get install chromium chromium-driver)"
)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
)  # fmt: skip


class Browser:
    """One session."""

    def __init__(self, base: str, profile: Path) -> None:
        self._base = base
        options = {
            "binary": BROWSER,
            "args": [*FLAGS, f"--user-data-dir={profile}"],
            "prefs": {
                "download.default_directory": str(profile),
                "profile.default_content_setting_values.automatic_downloads": 1,  # the second one too
            },
        }
        capabilities = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        value = self._call("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self._base += f"/session/{value['sessionId']}"

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self._base + path, data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, url: str) -> None:
        self._call("POST", "/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """Value of a script's `return`."""
        return self._call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def resize(self, width: int, height: int) -> None:
        self._call("POST", "/window/rect", {"width": width, "height": height})

    def screenshot(self) -> bytes:
        return base64.b64decode(self._call("GET", "/screenshot"))

    def messages(self) -> list[str]:
        """Console errors and warnings since the last call."""
        entries = self._call("POST", "/se/log", {"type": "browser"})
        return [f"{e['level']}: {e['message']}" for e in entries if e["level"] in ("SEVERE", "WARNING")]

    def quit(self) -> None:
        self._call("DELETE", "")


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Start chromedriver on a free port and a browser with a fresh profile; both end with the block."""
    assert DRIVER is not None
    process = subprocess.Popen(
        [DRIVER, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert process.stdout is not None
        port = None
        for line in process.stdout:
            found = re.search(r"started successfully on port (\d+)", line)
            if found:
                port = int(found.group(1))
                break
        assert port, "chromedriver did not start"
        session = Browser(f"http://127.0.0.1:{port}", profile)
        try:
            yield session
        finally:
            session.quit()
    finally:
        process.terminate()
        process.wait(timeout=20)
