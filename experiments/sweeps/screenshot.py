"""A picture of TensorBoard's tab HParams, parallel coordinates, of any folder of runs.

Needs Chromium with its driver (apt-get install chromium chromium-driver) and pip install selenium.

    python experiments/sweeps/screenshot.py runs/study/lr_ratio_sweep_chest_xray sweep.png \
        --only gan --show lr_g lr_d g_steps Primary/accuracy Primary/auroc "quality/kid pneumonia" \
        --log lr_g lr_d --colour Primary/auroc
"""

from __future__ import annotations

import argparse
import io
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image
from selenium import webdriver
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

ALL = """
function* all(root) {
  for (const e of root.querySelectorAll('*')) {
    yield e;
    if (e.shadowRoot) yield* all(e.shadowRoot);
  }
}
const root = arguments[1] || document;
return [...all(root.shadowRoot || root)].filter(e => e.matches(arguments[0]));
"""
OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@contextmanager
def tensorboard(logdir: str) -> Iterator[str]:
    """Run TensorBoard until it has read the folder; give its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", logdir, "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            url, runs = f"http://127.0.0.1:{port}", [b"", b"[]"]
            while runs[-1] == b"[]" or runs[-1] != runs[-2]:
                assert server.poll() is None, "TensorBoard has ended"
                time.sleep(3)
                try:
                    runs.append(urllib.request.urlopen(f"{url}/data/runs").read())
                except OSError:
                    continue
            yield url
        finally:
            server.terminate()


@contextmanager
def browser(width: int, height: int) -> Iterator[webdriver.Chrome]:
    """Open Chromium without a window."""
    with tempfile.TemporaryDirectory() as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        sized = (f"--window-size={width},{height}", f"--user-data-dir={profile}")
        for option in (*OPTIONS, *sized):
            options.add_argument(option)
        driver = shutil.which("chromedriver")
        chrome = webdriver.Chrome(options, webdriver.ChromeService(driver))
        try:
            yield chrome
        finally:
            chrome.quit()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("logdir")
    parser.add_argument("picture")
    parser.add_argument("--show", nargs="*", help="settings and metrics that get an axis")
    parser.add_argument("--only", nargs="*", help="values of `arm`; the others are left out")
    parser.add_argument("--log", nargs="*", default=[], help="axes that are logarithmic")
    parser.add_argument("--colour", help="what the lines are coloured by")
    parser.add_argument("--size", nargs=2, type=int, default=[1600, 1100], metavar=("W", "H"))
    given = parser.parse_args()
    with tensorboard(given.logdir) as url, browser(*given.size) as chrome:
        chrome.get(f"{url}/#hparams")

        def found(selector: str, root: WebElement | None = None) -> list[WebElement]:
            return chrome.execute_script(ALL, selector, root)

        def named(selector: str, root: WebElement | None = None) -> dict[str, WebElement]:
            return {e.get_property("textContent").strip(): e for e in found(selector, root)}

        def click(element: WebElement) -> None:
            chrome.execute_script("arguments[0].click()", element)

        WebDriverWait(chrome, 60).until(lambda _: found(".metric-checkbox"))
        time.sleep(2)
        boxes = named(".hparam-checkbox, .metric-checkbox")
        if unknown := set(given.show or []) - boxes.keys():
            sys.exit(f"no axis {min(unknown)}; there are {', '.join(boxes)}")
        for name, box in boxes.items():
            if given.show and (name in given.show) != bool(box.get_property("checked")):
                click(box)
        for setting in found(".hparam") if given.only else []:
            if "arm" in named(".hparam-checkbox", setting):
                for arm, box in named(".discrete-value-checkbox", setting).items():
                    if arm not in given.only:
                        click(box)
        click(next(e for text, e in named("paper-tab").items() if "PARALLEL" in text.upper()))
        time.sleep(3)
        view = found("tf-hparams-parallel-coords-view")[0]
        for column in found(".column", view):
            if named(".column-title", column).keys() & set(given.log):
                click(found("paper-radio-button[name=LOG]", column)[0])
        if given.colour:
            click(named("paper-item", view)[given.colour])
        time.sleep(3)
        outer, plot = view.rect, found("tf-hparams-parallel-coords-plot")[0].rect
        right, bottom = outer["x"] + outer["width"], plot["y"] + plot["height"]
        window = Image.open(io.BytesIO(chrome.get_screenshot_as_png()))
        window.crop((outer["x"], outer["y"], right, bottom)).save(given.picture, optimize=True)


if __name__ == "__main__":
    main()
