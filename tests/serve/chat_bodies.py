"""Bodies of chat requests as real clients write them; each says which version of the client's source it was written from."""

import base64
import io
from fractions import Fraction
from functools import cache
from typing import Any

import av
import numpy as np
from PIL import Image

QUESTION = "What does the man do after he opens the door?"
OPTIONS = "A. He sits down.\nB. He leaves.\nC. He waves.\nD. He sings."
VIDEO_MME = (
    "Select the best answer to the following multiple-choice question based on the video and the subtitles. Respond with only "
    f"the letter (A, B, C, or D) of the correct option.\n{QUESTION}\n{OPTIONS}\nThe best answer is:"
)


def picture(shade: int, form: str = "PNG") -> str:
    """A small picture as a data URL; another for every shade."""
    file = io.BytesIO()
    Image.new("RGB", (8, 6), (shade % 256, shade // 256, 0)).save(file, format=form)
    return f"data:image/{form.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


@cache
def video(container: str = "mp4", codec: str = "mpeg4") -> bytes:
    """A video file of four frames."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as written:
        stream = written.add_stream(codec, rate=Fraction(25))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for shade in range(4):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 60 * shade, np.uint8), format="rgb24")
            written.mux(stream.encode(frame))
        written.mux(stream.encode(None))
    return file.getvalue()


def data_url(content: bytes, mime: str) -> str:
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def image(url: str, **more: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, **more}}


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def openai_python() -> dict[str, Any]:
    """openai-python 3.52: a stream with usage, `extra_body` merged into the body."""
    return {
        "messages": [
            {"role": "developer", "content": "Be brief."},
            user({"type": "video_url", "video_url": {"url": "https://videos.example/door.mp4"}}, text(QUESTION)),
        ],
        "model": "router",
        "max_completion_tokens": 64,
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.0,
        "videorouter": {"budget": 265, "policy": "fragment"},
    }


def lmms_eval(frames: int = 8) -> dict[str, Any]:
    """lmms_eval 0.7.3, models/chat/openai.py with `to_openai_messages`: PNG pictures, then the text."""
    return {
        "messages": [user(*(image(picture(shade)) for shade in range(frames)), text(VIDEO_MME))],
        "model": "router",
        "max_tokens": 16,
        "temperature": 0,
    }


def lmms_eval_qwen3(frames: int = 8, fps: float = 2.0) -> dict[str, Any]:
    """lmms_eval 0.7.3, protocol.py, `to_qwen3_vl_openai_messages`: `<{timestamp:.1f} seconds>` before each picture."""
    parts: list[Any] = []
    for shade in range(frames):
        parts += [text(f"<{shade / fps:.1f} seconds>"), image(picture(shade))]
    return {"messages": [user(*parts, text(VIDEO_MME))], "model": "router", "max_tokens": 16, "temperature": 0}


def lmms_eval_video() -> dict[str, Any]:
    """lmms_eval 0.7.3 with `pass_video_url`, which sends `media_io_kwargs` too."""
    return {
        "messages": [
            user({"type": "video_url", "video_url": {"url": "file:///data/videos/door.mp4"}}, text(VIDEO_MME)),
        ],
        "model": "router",
        "max_tokens": 16,
        "temperature": 0,
        "top_p": 1.0,
        "media_io_kwargs": {"video": {"num_frames": 32}},
        "chat_template_kwargs": {"enable_thinking": False},
    }


def vlmevalkit_lmdeploy(frames: int = 8) -> dict[str, Any]:
    """VLMEvalKit at 9571f11, api/adapters/internvl3.py: pictures, then one text that names each in a line of its own."""
    lines = "".join(f"Frame-{number}: <IMAGE_TOKEN>\n" for number in range(1, frames + 1))
    asked = (
        "\nThese are the frames of a video. Select the best answer to the following multiple-choice question based on the video. "
        f"Respond with only the letter (A, B, C, or D) of the correct option.\nQuestion: {QUESTION}\n{OPTIONS}"
        "\nAnswer with the option's letter from the given choices directly."
    )
    pictures = [image(picture(shade, "JPEG"), max_dynamic_patch=1) for shade in range(frames)]
    return {
        "model": "internvl3",
        "messages": [user(*pictures, text(lines + asked))],
        "max_tokens": 1024,
        "n": 1,
        "temperature": 0.0,
    }


def internvl(label: str = "Frame{number}: ", frames: int = 8) -> dict[str, Any]:
    """InternVL's prompt `Frame-1: <image>\\n...`, as scripts of its users write it, cut at the pictures."""
    parts: list[Any] = []
    for number in range(1, frames + 1):
        before = "" if number == 1 else "\n"
        parts += [text(before + label.format(number=number)), image(picture(number))]
    return {"model": "router", "messages": [user(*parts, text(f"\n{QUESTION}"))], "max_tokens": 64}


def vllm_frames(frames: int = 4) -> dict[str, Any]:
    """vLLM 0.32, multimodal/media/video.py: frames of one video in one URL, and a part's `uuid`."""
    jpegs = ",".join(picture(shade, "JPEG").partition(",")[2] for shade in range(frames))
    return {
        "model": "router",
        "messages": [
            user(
                {"type": "video_url", "video_url": {"url": f"data:video/jpeg;base64,{jpegs}"}, "uuid": "door-1"},
                text(QUESTION),
            )
        ],
        "media_io_kwargs": {
            "video": {
                "num_frames": -1,
                "fps": 25.0,
                "frames_indices": [50 * number for number in range(frames)],
                "total_num_frames": 50 * frames,
                "duration": 2.0 * frames,
            }
        },
        "mm_processor_kwargs": {"max_pixels": 151200},
        "repetition_penalty": 1.05,
        "top_k": 20,
        "chat_template": "{{ messages }}",
        "priority": -1,
    }


def dify(mime: str = "video/mp4") -> dict[str, Any]:
    """Dify's openai_api_compatible plugin (its test of `video_transfer_format`): by default a video is an `image_url`."""
    return {
        "model": "router",
        "messages": [
            {"role": "system", "content": "You watch videos."},
            user(text(QUESTION), image(data_url(video(), mime))),
        ],
        "max_tokens": 512,
        "stream": True,
        "stream_options": {"include_usage": True},
        "stop": [],
        "user": "abc-123",
    }


def langchain() -> dict[str, Any]:
    """langchain-openai 1.7.4: blocks that it does not know travel as they are; its own `video` blocks it refuses itself."""
    return {
        "messages": [
            {"content": "Be brief.", "role": "system"},
            {
                "content": [
                    "Watch this.",
                    {"type": "video_url", "video_url": {"url": data_url(video(), "video/mp4")}},
                    text(QUESTION),
                ],
                "role": "user",
            },
        ],
        "model": "router",
        "stream": False,
        "max_completion_tokens": 32,
    }


def langchain_file() -> dict[str, Any]:
    """langchain-openai 1.7.4, `convert_to_openai_data_block` of a standard `file` block with `mime_type="video/mp4"`."""
    held = {"file_data": data_url(video(), "video/mp4"), "filename": "LC_AUTOGENERATED"}
    return {"messages": [user(text(QUESTION), {"type": "file", "file": held})], "model": "router"}


def open_webui_title() -> dict[str, Any]:
    """Open WebUI at 074d488, routers/tasks.py, `generate_title`, its prompt shortened: the history is quoted as text."""
    asked = (
        f"### Task:\nGenerate a concise title.\n### Chat History:\n<chat_history>\nUSER: {QUESTION}\n</chat_history>"
    )
    return {
        "model": "router",
        "messages": [{"role": "user", "content": asked}],
        "stream": False,
        "max_completion_tokens": 1000,
    }


def open_webui_tags() -> dict[str, Any]:
    """Open WebUI at 074d488, routers/tasks.py, `generate_chat_tags`, its prompt shortened; no limit of tokens."""
    asked = f"### Task:\nGenerate 1-3 broad tags.\n### Chat History:\n<chat_history>\nUSER: {QUESTION}\n</chat_history>"
    return {"model": "router", "messages": [{"role": "user", "content": asked}], "stream": False}


def open_webui_chat(url: str) -> dict[str, Any]:
    """Open WebUI, a second question about a picture that was attached to the first: the conversation is sent again."""
    return {
        "stream": True,
        "model": "router",
        "messages": [
            user(text(QUESTION), image(url)),
            {"role": "assistant", "content": "He waves."},
            {"role": "user", "content": "Which colour is his coat?"},
        ],
        "temperature": 0.8,
        "stream_options": {"include_usage": True},
    }
