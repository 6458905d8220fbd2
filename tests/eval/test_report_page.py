"""The page in a real browser: it opens at once, fits a phone, and is walked with the keyboard."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.eval.runs import write_run, write_videos
from videorouter.eval.__main__ import main

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PROBE = """<script>addEventListener("load", () => {
  const loaded = performance.now(), pick = document.getElementById("pick"), first = pick.value;
  const press = key => document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  const all = selector => [...document.querySelectorAll(selector)];
  press("ArrowRight");
  const second = pick.value;
  press("ArrowLeft");
  all("details").forEach(one => { one.open = true });
  all("#shown button:not([disabled])").at(-1).click();
  const chosen = all("#shown [aria-pressed=true]");
  const shown = all("body *").filter(one => !one.closest(".hidden, thead, .skip"));
  const seen = {
    loaded, first, second, back: pick.value, chosen: chosen.length, focused: document.activeElement === chosen[0],
    background: getComputedStyle(document.body).backgroundColor,
    width: document.documentElement.scrollWidth, inner: innerWidth,
    wide: shown.filter(one => one.getBoundingClientRect().right > innerWidth + 1).map(one => one.outerHTML.slice(0, 120)),
    unnamed: all("[role=img]").filter(one => !one.getAttribute("aria-label")).length,
  };
  document.body.dataset.seen = JSON.stringify(seen);
  parent.postMessage(seen, "*");
})</script>"""
FRAME = """<body><iframe src="page.html" style="width:390px;height:900px;border:0"></iframe>
<script>addEventListener("message", event => { document.body.dataset.seen = JSON.stringify(event.data) })</script></body>"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if not found:
        pytest.skip("no Chromium here: eval/report/install_browser.sh installs it")
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`page.html`, the page with a probe behind it, and `phone.html`, which shows that 390 pixels wide."""
    folder = tmp_path_factory.mktemp("browser")
    run = write_run(folder / "run", videos=write_videos(folder / "videos", 6), unseen=6)
    assert main(["report", str(run), "--out", str(folder / "report")]) == 0
    html = (folder / "report" / "index.html").read_text()
    (folder / "page.html").write_text(html.replace("</body>", PROBE + "</body>"))
    (folder / "phone.html").write_text(FRAME)
    return folder


def seen(browser: str, folder: Path, name: str, *options: str) -> dict:
    """What the probe saw."""
    command = [
        browser,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={folder / 'profile'}",
        *options,
    ]
    command += ["--dump-dom", (folder / name).as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = re.search(r'data-seen="([^"]*)"', done.stdout)
    assert found, done.stderr[-2000:]
    return json.loads(found[1].replace("&quot;", '"').replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


def test_it_opens_within_two_seconds_and_is_walked_with_the_arrows(browser: str, folder: Path) -> None:
    found = seen(browser, folder, "page.html", "--window-size=1280,900")
    size = (folder / "report" / "index.html").stat().st_size
    print(f"{size / 1e6:.2f} MB, loaded after {found['loaded']:.0f} ms")
    assert found["loaded"] < 2_000
    assert size < 5_000_000
    assert (found["first"], found["second"], found["back"]) == ("0", "1", "0")
    assert found["chosen"] == 1
    assert found["focused"]
    assert found["unnamed"] == 0
    assert found["wide"] == []


def test_a_phone_does_not_scroll_sideways(browser: str, folder: Path) -> None:
    found = seen(browser, folder, "phone.html", "--window-size=800,1000", "--virtual-time-budget=4000")
    assert found["inner"] == 390
    assert found["width"] <= 390
    assert found["wide"] == []


def test_it_is_dark_where_that_is_preferred(browser: str, folder: Path) -> None:
    light = seen(browser, folder, "page.html", "--blink-settings=preferredColorScheme=1")
    dark = seen(browser, folder, "page.html", "--blink-settings=preferredColorScheme=0")
    assert sum(map(int, re.findall(r"\d+", light["background"])[:3])) > 600
    assert sum(map(int, re.findall(r"\d+", dark["background"])[:3])) < 150
