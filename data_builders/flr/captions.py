"""Dense captions: what every sampled frame of a video shows, in words, a window of frames at a time (prompt ours)."""

import asyncio
from collections.abc import Iterable, Sequence

from videorouter.data_builders.flr.replies import FrameCaptions
from videorouter.data_builders.prompting import load_prompt
from videorouter.data_builders.teacher import Teacher
from videorouter.data_builders.videos import PreparedVideo

PROMPT = load_prompt("frame_captions")


async def caption_frames(teacher: Teacher, video: PreparedVideo, window: int) -> list[str]:
    """One line a frame, `window` frames a request. Raises as `Teacher.ask`."""
    starts = range(0, len(video.jpegs), window)
    windows = await asyncio.gather(*(_caption_window(teacher, video, start, window) for start in starts))
    return [caption for captions in windows for caption in captions]


def listed(captions: Sequence[str], frames: Iterable[int]) -> str:
    """The captions of some frames as a prompt shows them, a line each, numbered from 1 within the video."""
    return "\n".join(f"Frame-{frame + 1}: {captions[frame]}" for frame in frames)


async def _caption_window(teacher: Teacher, video: PreparedVideo, start: int, window: int) -> list[str]:
    pictures = video.pictures(range(start, min(start + window, len(video.jpegs))))
    text = PROMPT.fill({"count": len(pictures)})
    return await teacher.ask(text, pictures, FrameCaptions, lambda reply: reply.in_order(len(pictures)))
