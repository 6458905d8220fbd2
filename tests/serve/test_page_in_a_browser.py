"""The page in a real browser, against a real server with the shipped router."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.serve import chromium
from tests.serve.chromium import Tab
from tests.serve.page_steps import HOSTILE, answered, ask, choose, choose_example, thumbnails_loaded
from tests.serve.server_process import server_process
from tests.serve.slow_upstream import WORDS, slow_upstream

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> str:
    found = chromium.installed()
    if not found:
        pytest.skip("no Chromium here: eval/report/install_browser.sh installs it")
    return found


@pytest.fixture(scope="module")
def server(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that answers itself, with the world's videos."""
    with server_process(tmp_path_factory.mktemp("server"), "--media_root", str(world)) as address:
        yield address


@pytest.fixture(scope="module")
def relay(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server in front of an upstream that answers slowly, with markup."""
    folder = tmp_path_factory.mktemp("relay")
    with slow_upstream() as upstream:
        options = ("--media_root", str(world), "--engine", "frames", "--upstream", f"{upstream}/v1")
        with server_process(folder, *options) as address:
            yield address


@pytest.fixture
def tab(browser: str, tmp_path: Path) -> Iterator[Tab]:
    """A tab of a desktop's width, in which the page's scripts fail nowhere and break no policy."""
    with chromium.tab(browser, tmp_path / "profile") as tab:
        tab.look(1280, 900)
        yield tab
        assert tab.complaints == []


def test_an_answer_comes_with_a_timeline_whose_thumbnails_seek_the_player(tab: Tab, server: str) -> None:
    tab.open(server)
    choose(tab, 1)
    choose_example(tab, 0)
    ask(tab)
    answered(tab)
    routing, text = _asked_over_http(tab, server)
    assert tab.run("document.querySelector('.turn.on .answer').textContent") == text
    assert f"{routing['tokens']} of 1,024" in tab.run("document.querySelector('.turn.on').innerText")
    assert tab.run("document.querySelectorAll('.lane .given').length") == len(routing["frames"]) == 64
    assert tab.run("document.querySelector('.curve .line').getAttribute('d').split('L').length") == 64
    assert tab.run("document.getElementById('slider').getAttribute('aria-valuemax')") == "64"
    thumbnails_loaded(tab)
    most = max(frame["tokens"] for frame in routing["frames"])
    shown = [
        int(place) for place in tab.run("[...document.querySelectorAll('.film button')].map(b => b.dataset.place)")
    ]
    assert shown
    assert all(routing["frames"][place]["tokens"] == most for place in shown)
    tab.click(".film li:last-child button")
    wanted = routing["frames"][shown[-1]]["second"]
    tab.until(
        f"Math.abs(document.getElementById('player').currentTime - {wanted}) < 0.01 && !document.getElementById('player').seeking"
    )
    assert tab.run("document.getElementById('slider').getAttribute('aria-valuenow')") == str(shown[-1] + 1)


def test_everything_is_reached_and_done_with_the_keyboard(tab: Tab, server: str) -> None:
    tab.open(server)
    choose(tab, 0)
    choose_example(tab, 1)
    tab.run("document.getElementById('question').focus()")
    tab.press("Enter")
    answered(tab)
    reached = {}
    tab.run("document.activeElement.blur()")
    for _ in range(60):
        tab.press("Tab")
        name, outline = tab.run(
            "(e => [e.id || e.name || e.className || e.dataset.place && 'thumbnail' || e.tagName, "
            "getComputedStyle(e.type == 'file' ? e.nextElementSibling : e).outlineStyle])(document.activeElement)"
        )
        reached[name] = outline
    wanted = {
        "listed",
        "file",
        "player",
        "slider",
        "thumbnail",
        "question",
        "examples",
        "options",
        "SUMMARY",
        "system",
        "policy",
    }
    wanted |= {"budget", "frames", "second", "send", "asked"}
    assert wanted <= set(reached)
    assert {name for name in wanted - {"player"} if reached[name] == "none"} == set()
    tab.run("document.getElementById('slider').focus()")
    for key, place in (("End", 64), ("ArrowLeft", 63), ("Home", 1), ("ArrowRight", 2)):
        tab.press(key)
        assert tab.run("document.getElementById('slider').getAttribute('aria-valuenow')") == str(place), key
    assert re.match(
        r"0:\S+, frame 2 of 64\. A: .*tokens?$",
        tab.run("document.getElementById('slider').getAttribute('aria-valuetext')"),
    )
    tab.run("document.querySelector('.film li:last-child button').focus()")
    tab.press("Enter")
    assert tab.run(
        "Number(document.getElementById('slider').getAttribute('aria-valuenow')) - 1 == document.activeElement.dataset.place"
    )


def test_arrows_pass_every_sampled_frame_where_several_show_one_second(tab: Tab, server: str) -> None:
    tab.open(server)
    choose(tab, 0)
    choose_example(tab, 0)
    tab.run("document.querySelector('[name=frames]').value = 256")
    ask(tab)
    answered(tab)
    assert tab.run("document.querySelectorAll('.lane .given').length") == 256  # of a video with 160
    tab.run("document.getElementById('slider').focus()")
    tab.press("Home")
    for place in (2, 3, 4, 5):
        tab.press("ArrowRight")
        assert tab.run("document.getElementById('slider').getAttribute('aria-valuenow')") == str(place)


def test_two_systems_are_asked_about_one_video_side_by_side(tab: Tab, server: str) -> None:
    tab.open(server)
    choose(tab, 2)
    choose_example(tab, 0)
    tab.click("#second")
    ask(tab)
    answered(tab, systems=2)
    cards = tab.run("[...document.querySelectorAll('.turn.on .card')].map(c => c.innerText)")
    assert "videorouter" in cards[0]
    assert "% spared" in cards[0]
    assert "dense" in cards[1]
    assert "1,024 of 1,024" in cards[1]
    assert "came from the cache" in cards[1]
    left, right = tab.run(
        "[...document.querySelectorAll('.turn.on .card')].map(c => c.getBoundingClientRect()).map(b => [b.left, b.right, b.top])"
    )
    assert left[1] < right[0]
    assert left[2] == right[2]
    assert tab.run("document.querySelectorAll('.lane .given').length") == 128
    assert re.search(
        r"A was fed \d+ visual tokens, B 1,024", tab.run("document.querySelector('.turn.on .compared').textContent")
    )


def test_a_phone_does_not_scroll_sideways(tab: Tab, server: str) -> None:
    tab.look(390, 844)
    tab.open(server)
    choose(tab, 0)
    choose_example(tab, 0)
    tab.click("#second")
    ask(tab)
    answered(tab, systems=2)
    thumbnails_loaded(tab)
    assert tab.run("innerWidth") == 390
    assert tab.run("document.documentElement.scrollWidth") <= 390
    wide = (
        "[...document.querySelectorAll('body *')].filter(e => !e.closest('.hidden, .skip, [hidden], video') && "
        "e.getBoundingClientRect().right > 391).map(e => e.outerHTML.slice(0, 90))"
    )
    assert tab.run(wide) == []


def test_it_is_dark_where_that_is_preferred(tab: Tab, server: str) -> None:
    tab.open(server)
    brightness = {}
    for dark in (False, True):
        tab.look(1280, 900, dark=dark)
        colour = tab.run("getComputedStyle(document.body).backgroundColor")
        brightness[dark] = sum(map(int, re.findall(r"\d+", colour)[:3]))
    assert brightness[False] > 600
    assert brightness[True] < 150


def test_markup_in_file_names_questions_and_answers_is_text(tab: Tab, relay: str, world: Path, tmp_path: Path) -> None:
    named = tmp_path / f"{HOSTILE}.mp4"
    named.write_bytes(next((world / "videos").glob("*.mp4")).read_bytes())
    tab.open(relay)
    tab.until("!document.getElementById('listed').hidden")
    tab.give_file("#file", named)
    tab.until(f"document.getElementById('facts').textContent.includes({HOSTILE!r})")
    tab.click("#question")
    tab.type(f"{HOSTILE} what is this?")
    tab.run("document.getElementById('choices').open = true")
    tab.click("#options")
    tab.type(f"{HOSTILE}\nsomething else")
    ask(tab)
    answered(tab)
    said = tab.run("document.querySelector('.turn.on').innerText")
    assert said.count(HOSTILE) >= 3  # the question, the file's name and the option; the answer
    assert tab.run("document.querySelector('.turn.on .answer').textContent").startswith(HOSTILE)
    assert tab.run("document.querySelectorAll('img[src=x], b[onclick]').length") == 0
    assert tab.run("document.title") == "VideoRouter"


def test_an_answer_streams_in_and_can_be_stopped(tab: Tab, relay: str) -> None:
    tab.open(relay)
    choose(tab, 0)
    choose_example(tab, 0)
    ask(tab)
    seen = set[str]()
    while len(seen) < 4:
        seen.add(tab.until("document.querySelector('.turn.on .answer:not(.waiting)')?.textContent"))
    assert tab.run("document.querySelector('.turn.on .answer').getAttribute('aria-busy')") == "true"
    assert tab.run("document.querySelectorAll('.lane .given').length") == 64  # routing is told before the answer
    tab.click("#stop")
    tab.until("document.querySelector('.turn.on').innerText.includes('Stopped before its end')")
    assert tab.run("document.querySelector('.turn.on .answer').textContent.length") < len(WORDS)
    assert tab.run("document.getElementById('send').disabled") is False


def test_a_dropped_video_stays_loaded_and_is_sent_again_when_the_server_forgot_it(tab: Tab, server: str) -> None:
    tab.open(server)
    tab.until("document.getElementById('listed').options.length > 1")
    tab.run(
        "(async () => { const [video] = (await (await fetch('videos')).json()).data, given = new DataTransfer(); "
        "given.items.add(new File([await (await fetch('videos/' + video.name)).blob()], 'dropped.mp4')); "
        "document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: given, bubbles: true, cancelable: true })) })()"
    )
    tab.until(
        "document.getElementById('player').readyState > 0 && document.getElementById('facts').innerText.includes('dropped.mp4')"
    )
    choose_example(tab, 0)
    ask(tab)
    answered(tab)
    with httpx2.Client(base_url=server) as client:
        uploads = [one["id"] for one in client.get("/v1/files").json()["data"] if one["filename"] == "dropped.mp4"]
        assert len(uploads) == 1
        client.delete(f"/v1/files/{uploads[0]}").raise_for_status()
    choose_example(tab, 1)
    ask(tab)
    tab.until("document.querySelectorAll('.turn').length === 2")
    answered(tab)
    assert "came from the cache" in tab.run("document.querySelector('.turn.on').innerText")
    assert "0 ms" in tab.run(
        "[...document.querySelectorAll('.turn.on .legend li')].find(l => l.innerText.includes('decode')).innerText"
    )
    tab.click(".turn:last-child .asked")
    assert tab.run(
        "document.querySelectorAll('.turn.on').length === 1 && document.querySelector('.turn:last-child').classList.contains('on')"
    )


def test_a_corrupt_video_is_refused_with_what_to_do(tab: Tab, server: str, world: Path, tmp_path: Path) -> None:
    whole = next((world / "videos").glob("*.mp4")).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    tab.open(server)
    tab.until("!document.getElementById('listed').hidden")
    tab.give_file("#file", tmp_path / "cut.mp4")
    tab.click("#question")
    tab.type("What is shown?")
    ask(tab)
    told = tab.until("document.querySelector('.turn.on .trouble')?.closest('[role=alert]').innerText")
    assert "Refused (422)" in told
    assert "convert this one to MP4" in told
    assert "cannot play this file" in tab.run("document.getElementById('screen').innerText")
    assert tab.run("document.getElementById('send').disabled") is False


def test_a_video_that_the_browser_cannot_play_is_shown_by_its_frames(
    tab: Tab, server: str, world: Path, tmp_path: Path
) -> None:
    _as_mpeg4(next((world / "videos").glob("*.mp4")), tmp_path / "old.avi")
    tab.open(server)
    tab.until("!document.getElementById('listed').hidden")
    tab.give_file("#file", tmp_path / "old.avi")
    tab.until("document.getElementById('screen').innerText.includes('cannot play this file')")
    tab.click("#question")
    tab.type("What is the most common background of the video?")
    ask(tab)
    answered(tab)
    tab.until("document.getElementById('still').naturalWidth > 0")
    first = tab.run("document.getElementById('still').src")
    tab.run("document.getElementById('slider').focus()")
    tab.press("End")
    tab.until(f"document.getElementById('still').src != {first!r} && document.getElementById('still').naturalWidth > 0")
    thumbnails_loaded(tab)


def test_a_server_with_keys_is_used_with_one(browser: str, world: Path, tmp_path: Path) -> None:
    with (
        server_process(tmp_path, "--media_root", str(world), keys="right-key") as address,
        chromium.tab(browser, tmp_path / "profile") as tab,
    ):
        tab.open(address)
        tab.until("!document.getElementById('key-form').hidden")
        for key in ("wrong-key", "right-key"):
            tab.run("document.getElementById('key').focus()")
            tab.type(key)
            tab.press("Enter")
            tab.until("document.getElementById('key').value === ''")
            if key == "wrong-key":
                tab.until("document.getElementById('key-told').innerText.includes('refused')")
        choose(tab, 0)
        choose_example(tab, 0)
        ask(tab)
        answered(tab)
        thumbnails_loaded(tab)
        assert tab.run("document.getElementById('player').src.startsWith('blob:')")
        assert tab.run("document.getElementById('key-form').hidden")


def _asked_over_http(tab: Tab, server: str) -> tuple[dict, str]:
    """Routing and text of the page's question, asked without the page."""
    question = tab.run("document.getElementById('question').value")
    options = tab.run("document.getElementById('options').value").splitlines()
    lettered = [f"({chr(65 + place)}) {option}" for place, option in enumerate(options)]
    text = "\n".join([question, "Options:", *lettered, "Answer with the option's letter only."])
    with httpx2.Client(base_url=server, timeout=60) as client:
        name = tab.run("document.querySelector('#listed option:checked').textContent")
        url = next(video["url"] for video in client.get("/videos").json()["data"] if video["name"] == name)
        content = [{"type": "video_url", "video_url": {"url": url}}, {"type": "text", "text": text}]
        answer = client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": content}]}).json()
    return answer["videorouter"], answer["choices"][0]["message"]["content"]


def _as_mpeg4(source: Path, target: Path) -> None:
    import av

    with av.open(str(source)) as read, av.open(str(target), "w") as written:
        stream = written.add_stream("mpeg4", rate=8)
        stream.width, stream.height, stream.pix_fmt = 112, 112, "yuv420p"
        for frame in read.decode(video=0):
            written.mux(stream.encode(frame.reformat(format="yuv420p")))
        written.mux(stream.encode())
