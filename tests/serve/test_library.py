"""Videos that are kept: in bounded memory, for one owner, decoded once whoever asks at once, encoded once."""

import asyncio
from pathlib import Path

import pytest
import torch

from videorouter.routers.answering.answer import AskedQuestion
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.serve.library import VideoKey, VideoLibrary
from videorouter.serve.metrics import Metrics
from videorouter.video.errors import CorruptVideo
from videorouter.video.frames import SampledFrames

FRAMES = 8


@pytest.fixture(scope="module")
def loaded(router: Path) -> VideoRouter:
    return VideoRouter.from_pretrained(router)


@pytest.fixture(scope="module")
def sampled(loaded: VideoRouter, world: Path) -> SampledFrames:
    from videorouter.routers.answering.watched_video import sampled_frames

    return sampled_frames(loaded.backbone, next((world / "videos").glob("*.mp4")), FRAMES, loaded.config.sampler)


def _key(number: int, owner: str = "me") -> VideoKey:
    return VideoKey(owner, f"{number:064x}", FRAMES)


def _value(metrics: Metrics, name: str) -> float:
    return metrics.registry.get_sample_value(name) or 0.0


def _ask(library: VideoLibrary, loaded: VideoRouter, key: VideoKey, sampled: SampledFrames) -> bool:
    """Watch and route as the server does; whether the tokens were there."""
    watched, known = library.watched(key, sampled, False)
    question = AskedQuestion("What is shown?", None, "What is shown?", None)
    loaded.route(watched, question, loaded.system("videorouter"), 40)
    library.measure(key)
    return known


def _bytes_of_one(loaded: VideoRouter, sampled: SampledFrames) -> int:
    library = VideoLibrary(loaded, 10**9, Metrics())
    _ask(library, loaded, _key(0), sampled)
    return library.nbytes


def test_a_second_question_decodes_and_encodes_nothing(loaded: VideoRouter, sampled: SampledFrames) -> None:
    metrics = Metrics()
    library = VideoLibrary(loaded, 10**9, metrics)

    async def decode() -> SampledFrames:
        return sampled

    async def never() -> SampledFrames:
        raise AssertionError("it was decoded")

    assert asyncio.run(library.sampled(_key(0), decode)) == (sampled, False)
    assert not _ask(library, loaded, _key(0), sampled)
    assert _value(metrics, "videorouter_frames_encoded_total") == FRAMES
    found, cached = asyncio.run(library.sampled(_key(0), never))
    assert (found is sampled, cached) == (True, True)
    assert _ask(library, loaded, _key(0), found)
    assert _value(metrics, "videorouter_frames_encoded_total") == FRAMES
    assert _value(metrics, "videorouter_videos_decoded_total") == 1


def test_its_router_reads_no_frame_again(
    loaded: VideoRouter, sampled: SampledFrames, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = VideoLibrary(loaded, 10**9, Metrics())
    _ask(library, loaded, _key(0), sampled)
    held = library.nbytes
    assert loaded.image is not None
    monkeypatch.setattr(type(loaded.image), "frame_states", None)
    assert _ask(library, loaded, _key(0), sampled)
    assert library.nbytes == held


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.5, 2.5])
def test_memory_stays_below_its_bound(loaded: VideoRouter, sampled: SampledFrames, share: float) -> None:
    """Also where one video alone is larger, which then is not kept; the oldest leave first."""
    most, metrics = int(share * _bytes_of_one(loaded, sampled)), Metrics()
    library = VideoLibrary(loaded, most, metrics)
    for number in range(6):
        assert not _ask(library, loaded, _key(number), sampled)
        assert library.nbytes <= most
        assert _value(metrics, "videorouter_cache_bytes") == library.nbytes
    kept = [number for number in range(6) if library.find(_key(number)) is not None]
    assert kept == list(range(6 - int(share), 6)) or (share < 1 and len(kept) <= 1)


def test_who_was_asked_about_last_stays(loaded: VideoRouter, sampled: SampledFrames) -> None:
    library = VideoLibrary(loaded, int(2.5 * _bytes_of_one(loaded, sampled)), Metrics())
    for number in (0, 1):
        _ask(library, loaded, _key(number), sampled)
    assert library.find(_key(0)) is not None
    _ask(library, loaded, _key(2), sampled)
    assert [library.find(_key(number)) is not None for number in (0, 1, 2)] == [True, False, True]


def test_another_owner_finds_nothing(loaded: VideoRouter, sampled: SampledFrames) -> None:
    library = VideoLibrary(loaded, 10**9, Metrics())
    _ask(library, loaded, _key(0), sampled)
    assert library.find(_key(0, "them")) is None
    assert not _ask(library, loaded, _key(0, "them"), sampled)


def test_what_is_kept_lies_in_main_memory(loaded: VideoRouter, sampled: SampledFrames) -> None:
    library = VideoLibrary(loaded, 10**9, Metrics())
    _ask(library, loaded, _key(0), sampled)
    watched, _ = library.watched(_key(0), sampled, False)
    assert watched.all_tokens.device == torch.device("cpu")


class Decoding:
    """A decoder that waits until it is let go, and counts."""

    def __init__(self, sampled: SampledFrames | Exception) -> None:
        self.begun, self.cancelled, self.go = 0, 0, asyncio.Event()
        self._sampled = sampled

    async def __call__(self) -> SampledFrames:
        self.begun += 1
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if isinstance(self._sampled, Exception):
            raise self._sampled
        return self._sampled


def test_who_asks_at_once_waits_for_one_decode(loaded: VideoRouter, sampled: SampledFrames) -> None:
    async def ask() -> None:
        library, decode = VideoLibrary(loaded, 10**9, Metrics()), Decoding(sampled)
        asked = [asyncio.ensure_future(library.sampled(_key(0), decode)) for _ in range(5)]
        other = asyncio.ensure_future(library.sampled(_key(0, "them"), decode))
        await asyncio.sleep(0.01)
        assert decode.begun == 2
        decode.go.set()
        assert [cached for _, cached in await asyncio.gather(*asked)] == [False, True, True, True, True]
        assert (await other)[1] is False

    asyncio.run(ask())


def test_the_first_who_asked_leaves_while_others_wait(loaded: VideoRouter, sampled: SampledFrames) -> None:
    """What is decoded for nobody ends, and one of the others has it decoded for all of them."""

    async def ask() -> None:
        library, decode = VideoLibrary(loaded, 10**9, Metrics()), Decoding(sampled)
        first, *others = (asyncio.ensure_future(library.sampled(_key(0), decode)) for _ in range(4))
        await asyncio.sleep(0.01)
        others.pop().cancel()  # one who only waited: nothing changes
        await asyncio.sleep(0.01)
        assert (decode.begun, decode.cancelled) == (1, 0)
        first.cancel()
        await asyncio.sleep(0.01)
        assert (decode.begun, decode.cancelled) == (2, 1)
        decode.go.set()
        assert [cached for _, cached in await asyncio.gather(*others)] == [False, True]
        assert await library.sampled(_key(0), decode) == (sampled, True)
        assert decode.begun == 2

    asyncio.run(ask())


def test_a_failure_is_everybodys_and_is_not_kept(loaded: VideoRouter, sampled: SampledFrames) -> None:
    async def ask() -> None:
        library, decode = VideoLibrary(loaded, 10**9, Metrics()), Decoding(CorruptVideo("a.mp4", "broken"))
        asked = [asyncio.ensure_future(library.sampled(_key(0), decode)) for _ in range(3)]
        await asyncio.sleep(0.01)
        decode.go.set()
        assert all(isinstance(end, CorruptVideo) for end in await asyncio.gather(*asked, return_exceptions=True))
        good = Decoding(sampled)
        good.go.set()
        assert await library.sampled(_key(0), good) == (sampled, False)

    asyncio.run(ask())
