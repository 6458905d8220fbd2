"""Requests as they arrive: at most so many bytes, within so many seconds, and only while somebody waits for the answer (ours)."""

import asyncio
import json
import tempfile
from collections.abc import AsyncGenerator, Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from videorouter.serve.errors import Encoded, RequestError, TooLarge, TooSlow
from videorouter.serve.media.disk import full_disk_told
from videorouter.serve.media.media import Media, Upload

Result = TypeVar("Result")
FORM: Final = 65_536
"""Bytes that a form has beside its file."""
PIECE: Final = 1 << 20
"""Bytes that are read at once."""


class ClientGone(Exception):
    """The client left before its answer was there."""


async def received_json(request: Request, most_bytes: int, seconds: float) -> Any:
    """The JSON of a request. Raises `RequestError` for one too large, too slow, or no JSON, and `ClientDisconnect`."""
    read = bytearray()
    async for piece in _within(request, most_bytes, seconds):
        read += piece
    try:
        return await asyncio.to_thread(json.loads, bytes(read), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the body is no JSON ({' '.join(str(error).split())[:200]})") from error


async def uploaded(request: Request, media: Media, most_bytes: int, seconds: float) -> Upload:
    """The file of a multipart form, as OpenAI's clients send it, or a body that is the file itself.

    Raises as `received_json`, and `RequestError` for a form without a file.
    """
    owner = request.state.owner
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        name = request.headers.get("x-filename", "video")
        return await media.upload(_within(request, most_bytes, seconds), name, owner)
    stream = _within(request, most_bytes + FORM, seconds)
    try:
        with full_disk_told(Path(tempfile.gettempdir())):
            form = await MultiPartParser(request.headers, stream, max_files=1, max_fields=16).parse()
    except MultiPartException as error:
        raise RequestError(f"the form cannot be read: {error.message}") from error
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise RequestError("the form has no file: send one in the field `file`", param="file")
        return await media.upload(_pieces(file), file.filename or "video", owner)
    finally:
        await form.close()


async def _pieces(file: UploadFile) -> AsyncGenerator[bytes]:
    while piece := await file.read(PIECE):
        yield piece


async def unless_gone(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """What `work` returns; it is cancelled when the client leaves, which raises `ClientGone`."""
    task = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientGone
    finally:
        for one in (task, leaving):
            one.cancel()
        await asyncio.gather(task, leaving, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _within(request: Request, most_bytes: int, seconds: float) -> AsyncGenerator[bytes]:
    """The body piece by piece."""
    if (encoding := request.headers.get("content-encoding", "identity").strip().lower()) not in ("", "identity"):
        raise Encoded(
            f"the body has the Content-Encoding {encoding[:40]!r}: send it as it is, without Content-Encoding"
        )
    declared = request.headers.get("content-length", "")
    told = f"the request is larger than the {most_bytes // 1_000_000} MB that are taken"
    if declared.isdecimal() and int(declared) > most_bytes:
        raise TooLarge(told)
    taken = 0
    try:
        async with asyncio.timeout(seconds):
            async for piece in request.stream():
                taken += len(piece)
                if taken > most_bytes:
                    raise TooLarge(told)
                yield piece
    except TimeoutError as error:
        raise TooSlow(f"the request did not arrive within {seconds:g} s") from error


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON")
