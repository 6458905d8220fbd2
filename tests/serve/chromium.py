"""A headless Chromium driven over the DevTools protocol: real clicks, keys, files and screenshots."""

import asyncio
import base64
import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
KEYS = {"Tab": 9, "Enter": 13, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowRight": 39, " ": 32}


def installed() -> str | None:
    """The command of the browser that is here."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


class Tab:
    """One page. What the page logs as an error, and what its policy blocks, is in `complaints`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._loop, self._socket, self._last, self.complaints = loop, socket, 0, list[str]()

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command, and its result."""
        return self._loop.run_until_complete(asyncio.wait_for(self._send(method, parameters), 60))

    def open(self, address: str) -> None:
        """Go there, and wait until all of it has loaded."""
        self.send("Page.navigate", url=address)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def look(self, width: int, height: int, *, dark: bool = False) -> None:
        """The window's size in pixels, and what colours its user prefers."""
        mobile = width < 600
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])

    def run(self, script: str) -> Any:
        """What an expression gives, a promise's value included."""
        done = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True)
        if "exceptionDetails" in done:
            raise AssertionError(f"{script}: {done['exceptionDetails']['exception'].get('description')}")
        return done["result"].get("value")

    def until(self, script: str, seconds: float = 30.0) -> Any:
        """What an expression gives once that is true."""
        end = time.monotonic() + seconds
        while not (found := self.run(script)):
            if time.monotonic() > end:
                raise AssertionError(f"not within {seconds:g} s: {script}\n{self.run('document.body.innerText')}")
            time.sleep(0.05)
        return found

    def click(self, selector: str) -> None:
        """A real click on the middle of the element."""
        centre = (
            "(e => { e.scrollIntoView({block: 'center', behavior: 'instant'}); const b = e.getBoundingClientRect(); "
            f"return [b.x + b.width / 2, b.y + b.height / 2] }})(document.querySelector({json.dumps(selector)}))"
        )
        x, y = self.run(centre)
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str) -> None:
        """A key, on what has the focus."""
        told: dict[str, Any] = {"key": key, "code": "Space" if key == " " else key}
        told |= {"windowsVirtualKeyCode": KEYS[key]}
        text = {"Enter": "\r", " ": " "}.get(key)
        self.send("Input.dispatchKeyEvent", type="keyDown", **told, **({"text": text} if text else {}))
        self.send("Input.dispatchKeyEvent", type="keyUp", **told)

    def type(self, text: str) -> None:
        """Text, into what has the focus."""
        self.send("Input.insertText", text=text)

    def give_file(self, selector: str, path: Path) -> None:
        """Choose a file in a file field."""
        root = self.send("DOM.getDocument")["root"]["nodeId"]
        node = self.send("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.send("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """What the window shows as PNG, or all of the page."""
        shown = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shown["data"]))

    async def _send(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        self._last += 1
        await self._socket.send_json({"id": self._last, "method": method, "params": parameters})
        while True:
            heard = json.loads((await self._socket.receive()).data)
            if heard.get("id") == self._last:
                if "error" in heard:
                    raise AssertionError(f"{method}: {heard['error']}")
                return heard["result"]
            self._hear(heard)

    def _hear(self, event: dict[str, Any]) -> None:
        match event.get("method"):
            case "Runtime.exceptionThrown":
                details = event["params"]["exceptionDetails"]
                self.complaints.append(details.get("exception", {}).get("description") or details["text"])
            case "Log.entryAdded" if event["params"]["entry"]["source"] == "security":
                self.complaints.append(event["params"]["entry"]["text"])


@contextlib.contextmanager
def tab(browser: str, profile: Path) -> Iterator[Tab]:
    """A tab of a browser of its own, which ends with it."""
    options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--mute-audio")
    profile.mkdir(parents=True, exist_ok=True)
    command = [browser, *options, f"--user-data-dir={profile}", "--no-first-run", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    loop = asyncio.new_event_loop()
    try:
        port = _port(profile / "DevToolsActivePort", process)
        session, socket = loop.run_until_complete(_connected(port))
        try:
            opened = Tab(loop, socket)
            for domain in ("Page", "Runtime", "Log", "DOM"):
                opened.send(f"{domain}.enable")
            yield opened
        finally:
            loop.run_until_complete(socket.close())
            loop.run_until_complete(session.close())
    finally:
        process.terminate()
        process.wait(30)
        loop.close()


def _port(told: Path, process: subprocess.Popen[bytes]) -> int:
    """The port that the browser wrote down."""
    end = time.monotonic() + 60
    while not (told.exists() and told.read_text().strip()):
        if process.poll() is not None or time.monotonic() > end:
            raise AssertionError(f"the browser opened no port (exit status {process.poll()})")
        time.sleep(0.05)
    return int(told.read_text().split()[0])


async def _connected(port: int) -> tuple[aiohttp.ClientSession, aiohttp.ClientWebSocketResponse]:
    session = aiohttp.ClientSession()
    async with session.get(f"http://127.0.0.1:{port}/json/list") as response:
        pages = [one for one in await response.json() if one["type"] == "page"]
    return session, await session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0)
