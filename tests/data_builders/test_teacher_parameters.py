"""What is sent to a teacher beside words and pictures, what of it makes another data set, and what is never shown."""

import asyncio
import json
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.loopback.serving import served
from videorouter.data_builders.__main__ import parser
from videorouter.data_builders.building.run_folder import claim_folder
from videorouter.data_builders.teacher import replies
from videorouter.data_builders.teacher.addresses import shown
from videorouter.data_builders.teacher.config import TeacherConfig
from videorouter.data_builders.teacher.errors import TeacherCutOff, TeacherRefusal, TeacherRefuses
from videorouter.data_builders.teacher.journal import Journal
from videorouter.data_builders.teacher.parameters import Parameters
from videorouter.data_builders.teacher.replies import FrameCaptions, FrameScores, QuestionCategory, Reply
from videorouter.data_builders.teacher.request import Picture, Request, data_url
from videorouter.data_builders.teacher.schemas import sent_schema
from videorouter.data_builders.teacher.teacher import Teacher

REPLY = json.dumps({"category": "counting", "reason": "it counts"})
KINDS = [
    kind for kind in vars(replies).values() if isinstance(kind, type) and issubclass(kind, Reply) and kind is not Reply
]


@contextmanager
def recording(
    said: str = REPLY, status: int = 200, finish: str = "stop"
) -> Iterator[tuple[str, list[HttpRequest], list[Any]]]:
    """An endpoint under any path, the requests that came, and their bodies."""
    requests: list[HttpRequest] = []
    bodies: list[Any] = []

    async def complete(request: HttpRequest) -> Response:
        requests.append(request)
        bodies.append(await request.json())
        if status != 200:
            return JSONResponse(
                {"error": {"message": f"no {request.url} for {request.headers['authorization']}"}}, status
            )
        return JSONResponse({"choices": [{"message": {"content": said}, "finish_reason": finish}]})

    with served(Starlette(routes=[Route("/{path:path}", complete, methods=["POST"])])) as address:
        yield address, requests, bodies


def ask(journal: Journal | None = None, **options: Any) -> QuestionCategory:
    teacher = Teacher(TeacherConfig(**options), journal=journal)
    return asyncio.run(teacher.ask("q", [], QuestionCategory, lambda reply: reply))


def body_of(config: TeacherConfig, kind: type[Reply] = QuestionCategory, pictures: int = 0) -> dict[str, Any]:
    shown_frames = tuple(Picture(f"Frame-{n}:", data_url(b"x")) for n in range(pictures))
    return Request(config.model, "q", shown_frames, kind, parameters=config.parameters).body()


def test_every_kind_of_request_has_a_limit_of_tokens_that_grows_with_what_it_lists() -> None:
    for kind in KINDS:
        assert body_of(TeacherConfig(), kind)["max_tokens"] >= 1024
    assert body_of(TeacherConfig(), FrameScores, 16)["max_tokens"] == 1024 + 16 * 48
    assert body_of(TeacherConfig(), FrameCaptions, 16)["max_tokens"] == 1024 + 16 * 192
    assert body_of(TeacherConfig(max_tokens=77), FrameCaptions, 16)["max_tokens"] == 77


@pytest.mark.parametrize("kind", [FrameScores, FrameCaptions])
def test_the_limit_holds_a_long_reply(kind: type[Reply]) -> None:
    """Of 64 frames, with indented JSON; a token is taken to be 3 characters."""
    one = {"frame": 64, "score": 100} if kind is FrameScores else {"frame": 64, "caption": "word " * 60}
    reply = {kind.__name__.removeprefix("Frame").lower(): [one] * 64, "reason": "word " * 200}
    assert len(json.dumps(reply, indent=2)) / 3 < kind.most_tokens(64)


def test_a_reply_that_was_cut_off_is_asked_for_once_more_with_twice_the_tokens() -> None:
    cut_off = '{"category": "cou' + " " * 9000
    with (
        recording(said=cut_off, finish="length") as (url, _, bodies),
        pytest.raises(TeacherCutOff, match="at 200 tokens"),
    ):
        ask(base_url=url, max_tokens=100)
    assert [body["max_tokens"] for body in bodies] == [100, 200]
    asked_again = bodies[1]["messages"]
    assert "it was cut off before its end: be brief" in asked_again[2]["content"]
    assert len(asked_again[1]["content"]) <= 4000


def test_the_body_holds_what_is_set_and_nothing_that_is_null() -> None:
    assert body_of(TeacherConfig())["temperature"] == 0
    body = body_of(
        TeacherConfig(
            max_tokens_name="max_completion_tokens",
            temperature=None,
            extra_body={"reasoning": {"effort": "low"}, "response_format": None, "seed": 1},
        )
    )
    assert body["max_completion_tokens"] == 1024
    assert body["reasoning"] == {"effort": "low"}
    assert body["seed"] == 1
    assert not {"max_tokens", "temperature", "response_format"} & set(body)


def test_headers_and_query_go_with_every_request_and_read_keys_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AZURE_KEY", "azure-secret")
    with recording() as (url, requests, _):
        ask(
            base_url=f"{url}/openai/deployments/d/?zone=a",
            headers={"api-key": "$AZURE_KEY", "X-Cost": "5$$"},
            query={"api-version": "2024-10-21"},
        )
    assert requests[0].url.path == "/openai/deployments/d/chat/completions"
    assert dict(requests[0].query_params) == {"zone": "a", "api-version": "2024-10-21"}
    assert requests[0].headers["api-key"] == "azure-secret"
    assert requests[0].headers["x-cost"] == "5$"
    assert requests[0].headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/", "/a/b%20c/v1", "/v1/chat/completions"])
def test_a_base_url_may_have_any_path(path: str) -> None:
    with recording() as (url, requests, _):
        assert ask(base_url=f"{url}{path}").category == "counting"
    whole = path.replace("%20", " ").rstrip("/").removesuffix("/chat/completions")
    assert requests[0].url.path.replace("%20", " ") == f"{whole}/chat/completions"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"headers": {"api-key": "$NO_SUCH"}}, r"read from \$NO_SUCH, which is not set"),
        ({"query": {"key": "5 $"}}, r"a dollar sign is written \$\$"),
        ({"headers": {"X-A": "a\nb"}}, "characters that no HTTP header may hold"),
        ({"extra_body": {"messages": [], "stream": True}}, "holds messages and stream"),
        ({"timeout": 0}, "teacher.timeout is 0"),
        ({"timeout": float("nan")}, "teacher.timeout is nan"),
        ({"max_tokens": 0}, "teacher.max_tokens is 0: give 1 or more"),
        ({"temperature": -1.0}, "teacher.temperature is -1.0: give 0 or more"),
        ({"wait": float("inf")}, "teacher.wait is inf"),
        ({"base_url": "http://h:99999999/v1"}, "http://h:99999999/v1 is not an address"),
        ({"base_url": "https://"}, "names no host"),
        ({"base_url": "user:secret@h/v1"}, "'h/v1' is not an address"),
    ],
)  # fmt: skip
def test_options_that_cannot_be_sent_are_refused_before_anything_is(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        Teacher(TeacherConfig(**options))
    assert "secret" not in str(caught.value)


def bounds_in(schema: Any) -> set[str]:
    """What strict vendors refuse, found anywhere where a schema may stand."""
    if isinstance(schema, list):
        return {found for one in schema for found in bounds_in(one)}
    if not isinstance(schema, dict):
        return set()
    refused = {"minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern", "format", "default"}
    inner = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values(), schema.get("items")]
    return (refused & set(schema)).union(*map(bounds_in, inner))


def objects_in(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in (schema, *schema.get("$defs", {}).values()) if one.get("type") == "object"]


@pytest.mark.parametrize("kind", KINDS)
def test_schemas_are_sent_plain_and_closed(kind: type[Reply]) -> None:
    schema = sent_schema(kind)
    assert bounds_in(schema) == set()
    for one in objects_in(schema):
        assert one["additionalProperties"] is False
        assert one["required"] == list(one["properties"])
    assert body_of(TeacherConfig(), kind)["response_format"]["json_schema"] == {
        "name": kind.__name__, "schema": schema, "strict": True,
    }  # fmt: skip


def test_a_field_that_is_called_like_a_bound_stays() -> None:
    class Odd(BaseModel):
        pattern: str = "none"
        minimum: list[int] = []

    assert list(sent_schema(Odd)["properties"]) == sent_schema(Odd)["required"] == ["pattern", "minimum"]
    assert sent_schema(Odd)["properties"]["pattern"] == {"title": "Pattern", "type": "string"}


def test_bounds_are_checked_on_the_reply() -> None:
    reply = json.dumps({"scores": [{"frame": 1, "score": 101}], "reason": ""})
    with recording(said=reply) as (url, _, bodies), pytest.raises(ValueError, match="less than or equal to 100"):
        asyncio.run(Teacher(TeacherConfig(url)).ask("q", [], FrameScores, lambda found: found))
    assert len(bodies) == 2


def test_answers_of_earlier_releases_are_found() -> None:
    pictures = (Picture("Frame-1:", data_url(b"x")),)
    first = Request("m", "t", pictures, FrameScores)
    again = Request("m", "t", pictures, FrameCaptions, ("a", "b"))
    assert first.key == "7515265ab1bda989d44bb595ca3e34a15c4a17191a4209482649dae60493375a"
    assert again.key == "bd07bba4b9586ef6bb24a07d06d3f68d87c4b7cc4ba41e90d729474c3c517ddb"


def test_a_journal_of_earlier_releases_is_read_and_goes_on(tmp_path: Path) -> None:
    key = Request("teacher", "q", (), QuestionCategory).key
    with closing(sqlite3.connect(tmp_path / "j.sqlite")) as connection:
        connection.execute(
            "CREATE TABLE answers (key TEXT PRIMARY KEY, model TEXT, raw TEXT, images INTEGER, tokens_in INTEGER, "
            "tokens_out INTEGER, estimated INTEGER)"
        )
        connection.execute("INSERT INTO answers VALUES (?, 'teacher', ?, 0, 5, 6, 0)", (key, REPLY))
        connection.commit()
    for _ in range(2):
        with closing(Journal(tmp_path / "j.sqlite")) as journal:
            assert ask(journal, base_url="http://127.0.0.1:9/v1").category == "counting"
            assert journal.spent()["teacher"].tokens_in == 5


@pytest.mark.parametrize(
    ("options", "same"),
    [
        ({"max_tokens_name": "max_completion_tokens", "headers": {"a": "b"}, "query": {"c": "d"}, "wait": 1.0}, True),
        ({"temperature": None}, False),
        ({"temperature": 0.7}, False),
        ({"max_tokens": 500}, False),
        ({"extra_body": {"seed": 1, "device": "x"}}, False),
    ],
)
def test_what_changes_replies_makes_other_answers_and_another_data_set(
    options: dict[str, Any], same: bool, tmp_path: Path
) -> None:
    usual, changed = TeacherConfig(), TeacherConfig(**options)
    asked = [Request("m", "q", (), QuestionCategory, parameters=config.parameters).key for config in (usual, changed)]
    assert (asked[0] == asked[1]) is same
    recorded = {"frames": 8, "teacher": {"model": "m"}}  # as it was before there were such options
    assert claim_folder(tmp_path, recorded) == claim_folder(
        tmp_path, recorded | {"teacher": {"model": "m", **vars(Parameters())}}
    )
    changes = {"frames": 8, "teacher": {"model": "m", **vars(Parameters()), **options}}
    (tmp_path / "train-00000.tar").touch()
    if same:
        claim_folder(tmp_path, changes)
    else:
        with pytest.raises(ValueError, match=rf"teacher\.{next(iter(options))}: .* -> "):
            claim_folder(tmp_path, changes)


def test_options_are_given_on_the_command_line_as_json() -> None:
    words = ["flr", "annotate", "--questions", "q", "--videos", "v", "--out", "o", "--teacher.temperature", "null"]
    words += ["--teacher.extra_body", '{"chat_template_kwargs": {"enable_thinking": false}}']
    words += ["--teacher.query", '{"api-version": "2024-10-21"}', "--teacher.headers", '{"api-key": "$AZURE_KEY"}']
    options = parser().parse_args(words).flr.annotate.as_dict()["teacher"]
    config = TeacherConfig(**options)
    assert config.temperature is None
    assert config.extra_body == {"chat_template_kwargs": {"enable_thinking": False}}
    assert config.query == {"api-version": "2024-10-21"}
    assert config.headers == {"api-key": "$AZURE_KEY"}


ADDRESSES = {
    "http://127.0.0.1:8000/v1": "http://127.0.0.1:8000/v1",
    "https://user:secret@h.example:8443/v1?key=secret#secret": "https://h.example:8443/v1",
    "https://secretkey@h/v1": "https://h/v1",
    "https://h/v1/sk-abcdef/openai/": "https://h/v1/***/openai/",
    "https://h/SECRET/v1beta/openai": "https://h/***/v1beta/openai",
    "https://h/v1/0123456789abcdef0123456789abcdef": "https://h/v1/***",
    "https://h/compatible-mode/v1": "https://h/compatible-mode/v1",
    "http://[::1]:80/v1": "http://[::1]:80/v1",
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_addresses_are_shown_without_keys(address: str) -> None:
    assert shown(address) == ADDRESSES[address]


@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_keys_are_shown_neither_by_us_nor_by_what_an_endpoint_repeats(
    status: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-variable\r\n")
    monkeypatch.setenv("ANOTHER", "of-a-header")
    caplog.set_level(logging.DEBUG, "videorouter")
    with recording(status=status) as (url, requests, _):
        address = f"{url}/v1/KEY0in1path?key=key+in%2Fquery"
        with pytest.raises((TeacherRefusal, TeacherRefuses, ValueError, RuntimeError)) as caught:
            ask(base_url=address, headers={"X-Key": "$ANOTHER"}, attempts=0, patience=0)
    told = f"{caught.value} {getattr(caught.value, 'raw', '')} {caplog.text}"
    assert requests[0].headers["authorization"] == "Bearer sk-of-variable"
    assert "***" in told
    for secret in ("sk-of-variable", "of-a-header", "KEY0in1path", "key+in", "key in/query"):
        assert secret not in told


def test_a_key_in_the_user_part_is_sent_and_not_shown() -> None:
    with recording(status=401) as (url, requests, _), pytest.raises(TeacherRefuses) as caught:
        ask(base_url=url.replace("http://", "http://me:very-secret@"))
    assert requests[0].headers["authorization"].startswith("Basic ")
    assert "very-secret" not in str(caught.value)
    assert requests[0].headers["authorization"].removeprefix("Basic ") not in str(caught.value)
