"""What goes wrong with requests, each fault with what a client may be told of it."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2

from tests.serve.chat_bodies import picture
from tests.serve.questions import about, data_url

CHAT = "/v1/chat/completions"
GONE = 0
"""In place of a status: the client left and was told nothing."""


@dataclass
class Clients:
    """What faults are made of: a server's address, good questions with their right answers, broken files."""

    client: httpx2.AsyncClient
    address: str
    good: Sequence[tuple[dict[str, Any], str]]
    video: bytes
    long_video: bytes
    most_bytes: int
    upstream_fails: bool
    wrong: list[str] = field(default_factory=list)
    answered: int = 0

    async def post(self, body: Any = None, **options: Any) -> int:
        """Ask; the status, once the answer is seen to be a completion or an error object."""
        response = await self.client.post(CHAT, **({"json": body} if body is not None else {}) | options)
        told = response.json()
        if response.status_code == 200:
            assert told["choices"][0]["finish_reason"] in ("stop", "length"), told
        else:
            check_error(told)
        return response.status_code

    async def raw(self, content: bytes, read: int = 0) -> None:
        """Send bytes, read some where wanted, and leave."""
        where = urlsplit(self.address)
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        writer.write(content)
        await writer.drain()
        if read:
            await reader.readexactly(read)
        writer.close()


def check_error(told: Any) -> None:
    """OpenAI's error object, that tells nothing of the inside."""
    error = told["error"]
    assert isinstance(error["message"], str), told
    assert error["message"].strip(), told
    assert isinstance(error["type"], str), told
    assert {"param", "code"} <= set(error), told
    assert "Traceback" not in error["message"], told


def written(body: Any, length: int | None = None) -> bytes:
    """A chat request as bytes; a `length` beyond its own promises more than is sent."""
    content = json.dumps(body).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {length or len(content)}\r\n\r\n".encode() + content


async def good(clients: Clients, number: int) -> int:
    """Answered, and rightly, unless the upstream is away just now."""
    body, right = clients.good[number % len(clients.good)]
    response = await clients.client.post(CHAT, json=body)
    told = response.json()
    if response.status_code == 200:
        _compare(clients, told["choices"][0]["message"]["content"], right)
    else:
        check_error(told)
    return response.status_code


async def good_stream(clients: Clients, number: int) -> int:
    """The same, piece by piece; an error amid the stream is an event of it."""
    body, right = clients.good[number % len(clients.good)]
    async with clients.client.stream("POST", CHAT, json=body | {"stream": True}) as response:
        if response.status_code != 200:
            check_error(json.loads(await response.aread()))
            return response.status_code
        events = [line[6:] async for line in response.aiter_lines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]", events[-2:]
    chunks = [json.loads(event) for event in events[:-1]]
    if "error" in chunks[-1]:
        check_error(chunks[-1])
        return int(chunks[-1]["error"]["status"])
    said = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    _compare(clients, said.strip(), right)
    return 200


def _compare(clients: Clients, said: str, right: str) -> None:
    clients.answered += 1
    if said != right:
        clients.wrong.append(f"{said!r} instead of {right!r}")


async def text_alone(clients: Clients, _: int) -> int:
    return await clients.post({"messages": [{"role": "user", "content": "Say something."}], "max_tokens": 4})


async def pictures(clients: Clients, number: int) -> int:
    parts: list[Any] = [{"type": "image_url", "image_url": {"url": picture(number + shade)}} for shade in range(4)]
    parts.append({"type": "text", "text": "What is shown?"})
    return await clients.post({"messages": [{"role": "user", "content": parts}], "max_tokens": 4})


async def upload(clients: Clients, _: int) -> int:
    """A file that comes, is asked about and goes."""
    sent = await clients.client.post(
        "/v1/files", files={"file": ("a.mp4", clients.video)}, data={"purpose": "user_data"}
    )
    identity = sent.json()["id"]
    status = await clients.post(about(identity, "What is shown?", max_tokens=2))
    assert (await clients.client.delete(f"/v1/files/{identity}")).json()["deleted"]
    return status


async def gone_amid_its_body(clients: Clients, number: int) -> int:
    await clients.raw(written(clients.good[number % len(clients.good)][0], 1_000_000))
    return GONE


async def gone_amid_a_form(clients: Clients, _: int) -> int:
    head = b"POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n' + clients.video
    await clients.raw(head + b"Content-Length: 2000000\r\n\r\n" + part + bytes(1_200_000))
    return GONE


async def gone_before_the_answer(clients: Clients, number: int) -> int:
    body, _ = clients.good[number % len(clients.good)]
    await clients.raw(written(body | {"videorouter": {"frames": 8 + number % 5}}))  # of which some are decoded anew
    return GONE


async def gone_amid_a_stream(clients: Clients, number: int) -> int:
    await clients.raw(written(clients.good[number % len(clients.good)][0] | {"stream": True}), read=300)
    return GONE


async def slow(clients: Clients, number: int) -> int:
    """A byte in 1.3 seconds; one that is sent just as the server gives up may cost the client the answer."""
    content = written(clients.good[number % len(clients.good)][0])
    head, _, rest = content.partition(b"\r\n\r\n")
    where = urlsplit(clients.address)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    writer.write(head + b"\r\n\r\n")
    answer = asyncio.ensure_future(reader.read())
    for place in range(60):
        writer.write(rest[place : place + 1])
        done, _ = await asyncio.wait([answer], timeout=1.3)
        if done:
            break
    try:
        answered = await answer
    except ConnectionResetError:
        return GONE
    finally:
        writer.close()
    check_error(json.loads(answered.partition(b"\r\n\r\n")[2]))
    return int(answered.split(b" ", 2)[1])


async def corrupt(clients: Clients, number: int) -> int:
    """A file of which the beginning is right and the rest is other bytes, for each request others."""
    content = clients.video[:64] + bytes((number * 31 + place * 7) % 256 for place in range(4000))
    return await clients.post(about(data_url(content), "What is shown?"))


async def cut(clients: Clients, number: int) -> int:
    """A file that ends early."""
    return await clients.post(about(data_url(clients.video[: 1000 + 10 * number]), "What is shown?"))


async def too_long(clients: Clients, _: int) -> int:
    return await clients.post(about(data_url(clients.long_video), "What is shown?"))


async def too_many_bytes(clients: Clients, _: int) -> int:
    return await clients.post(about("data:video/mp4;base64," + "A" * clients.most_bytes, "What is shown?"))


async def too_many_bytes_in_chunks(clients: Clients, _: int) -> int:
    """Whose size nobody says before."""

    async def chunks() -> Any:
        for _ in range(clients.most_bytes // 65_536 + 2):
            yield bytes(65_536)

    try:
        return await clients.post(content=chunks())
    except httpx2.WriteError:  # the server has answered and closed while we were sending
        return GONE


def refused(make: Callable[[Clients, int], Any], **more: Any) -> Callable[[Clients, int], Awaitable[int]]:
    """A request of which the body alone is wrong."""

    async def ask(clients: Clients, number: int) -> int:
        made = make(clients, number)
        return await (clients.post(content=made) if isinstance(made, bytes) else clients.post(made, **more))

    return ask


def _with(**more: Any) -> Callable[[Clients, int], Any]:
    return lambda clients, number: clients.good[number % len(clients.good)][0] | more


AWAY = {503}
"""What an upstream that is killed adds."""
FAULTS: list[tuple[int, set[int], Callable[[Clients, int], Awaitable[int]]]] = [
    (44, {200}, good),
    (24, {200}, good_stream),
    (8, {200}, text_alone),
    (6, {200}, pictures),
    (6, {200}, upload),
    (10, {GONE}, gone_amid_its_body),
    (4, {GONE}, gone_amid_a_form),
    (10, {GONE}, gone_before_the_answer),
    (14, {GONE}, gone_amid_a_stream),
    (4, {408, GONE}, slow),
    (8, {422}, corrupt),
    (8, {422}, cut),
    (4, {413}, too_long),
    (3, {413}, too_many_bytes),
    (3, {413, GONE}, too_many_bytes_in_chunks),
    (4, {400}, refused(lambda clients, _: about("data:video/mp4;base64,AAAA!AAA", "What is shown?"))),
    (2, {422}, refused(lambda clients, _: about("data:video/mp4;base64,", "What is shown?"))),
    (4, {400}, refused(_with(messages="no list"))),
    (3, {400}, refused(_with(temperature="warm"))),
    (3, {400}, refused(_with(max_tokens=-1))),
    (3, {400}, refused(_with(videorouter={"system": "no_such_system"}))),
    (2, {400}, refused(_with(videorouter={"system": "videorouter(a=[)"}))),
    (3, {400}, refused(_with(videorouter={"policy": "no_such_policy"}))),
    (3, {400}, refused(_with(videorouter={"budget": 1}))),
    (2, {413}, refused(_with(videorouter={"frames": 100_000}))),
    (2, {404}, refused(_with(model="no such model"))),
    (2, {404}, refused(lambda clients, _: about("file-0123456789", "What is shown?"))),
    (2, {403}, refused(lambda clients, _: about("file:///etc/passwd", "What is shown?"))),
    (2, {400}, refused(lambda clients, _: b"[" * 100_000)),
    (2, {400}, refused(lambda clients, _: b'{"messages": ' + b'{"a":' * 200 + b"1" + b"}" * 200 + b"}")),
    (2, {400}, refused(lambda clients, _: b'{"messages": [], "temperature": NaN}')),
    (1, {400}, refused(lambda clients, _: b'{"messages": [], "seed": ' + b"9" * 5000 + b"}")),
    (2, {400}, refused(lambda clients, _: b"\xff\xfe\x00")),
]
"""(how many of two hundred, what they are told, what is done)"""
