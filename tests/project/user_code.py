"""A user's code on the public interface. It is never run: `make lint` holds what mypy's strict mode makes of it."""

from collections.abc import Iterator
from typing import assert_type

from videorouter import (
    SYSTEMS,
    Answer,
    Backbone,
    SampledFrames,
    ShardDataset,
    ShardSample,
    System,
    VideoQuestion,
    VideoRouter,
    WatchedVideo,
    load_backbone,
    parse_choice,
    sample_frames,
)


def ask(folder: str, video: str) -> str | None:
    router = VideoRouter.from_pretrained(folder)
    assert_type(router, VideoRouter)
    watched = router.watch(video)
    assert_type(watched, WatchedVideo)
    answer = router.answer(watched, "What happens?", ["a", "b"])
    assert_type(answer, Answer)
    assert_type(router.system(SYSTEMS[0]), System)
    return parse_choice(answer.text, ["a", "b"])


def read(folder: str) -> Iterator[VideoQuestion]:
    for sample in ShardDataset(folder, "train"):
        assert_type(sample, ShardSample)
        for labelled in sample.questions:
            yield labelled.question


def frames(path: str, base: str) -> tuple[SampledFrames, Backbone]:
    return sample_frames(path, 8), load_backbone(base)
