"""A program of a LangChain user, run in an environment with the released package: `python langchain_program.py BASE_URL QUESTION`.

QUESTION is a JSON file with `text`, `video` (a URL), `data` (the same video as a data URL) and `pictures` (its frames as data
URLs). What every call gives is printed as one JSON object, errors by the names of their classes. The key is in OPENAI_API_KEY.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel


class Choice(BaseModel):
    """The chosen option."""

    letter: str


def told(message: AIMessage) -> dict[str, Any]:
    return {
        "text": message.text,
        "usage": message.usage_metadata,
        "finish": message.response_metadata.get("finish_reason"),
        "model": message.response_metadata.get("model_name"),
    }


def main(base_url: str, question: dict[str, Any]) -> dict[str, Any]:
    def model(**more: Any) -> ChatOpenAI:
        return ChatOpenAI(
            **{"model": "router", "base_url": base_url, "temperature": 0, "max_retries": 0, "max_tokens": 8, **more}
        )

    def showing(*parts: dict[str, Any]) -> list[Any]:
        return [HumanMessage(content=[*parts, {"type": "text", "text": question["text"]}])]

    video = showing({"type": "video_url", "video_url": {"url": question["video"]}})
    pictures = showing(*({"type": "image_url", "image_url": {"url": url}} for url in question["pictures"]))
    block = {"type": "file", "base64": question["data"].partition(",")[2], "mime_type": "video/mp4"}

    def streamed() -> dict[str, Any]:
        chunks = list(model(stream_usage=True).stream(video))
        whole = chunks[0]
        for chunk in chunks[1:]:
            whole += chunk
        return told(whole) | {"pieces": len(chunks)}

    async def streamed_asynchronously() -> str:
        return "".join([chunk.text async for chunk in model().astream(video)])

    calls: dict[str, Callable[[], Any]] = {
        "invoke": lambda: told(model().invoke([SystemMessage("Be brief."), *video])),
        "plain": lambda: told(model().invoke(video)),
        "stream": streamed,
        "batch": lambda: [told(message) for message in model().batch([video, pictures, video])],
        "pictures": lambda: told(model().invoke(pictures)),
        "file": lambda: told(model().invoke(showing(block))),
        "astream": lambda: asyncio.run(streamed_asynchronously()),
        "budget": lambda: told(model(extra_body={"videorouter": {"budget": 100}}).invoke(video)),
        "text": lambda: told(model().invoke("Name a colour.")),
        "structured": lambda: model().with_structured_output(Choice).invoke(video),
        "tools": lambda: model().bind_tools([Choice]).invoke(video),
        "key": lambda: model(api_key="another").invoke(video),
        "model": lambda: model(model="gpt-5").invoke(video),
    }
    results: dict[str, Any] = {}
    for name, call in calls.items():
        try:
            results[name] = call()
        except Exception as error:
            results[name] = {"error": [kind.__name__ for kind in type(error).__mro__], "message": str(error)}
    return results


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], json.loads(Path(sys.argv[2]).read_text()))))
