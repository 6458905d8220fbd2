"""A real vLLM as teacher: constrained decoding holds a model that knows nothing of the task to every schema.

Its replies need not be sensible. A bias on the marks of JSON makes strings and lists end at once: the model was never taught to.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from transformers import AutoTokenizer

from tests.loopback.recording import Recording, recording
from tests.loopback.vllm import vllm_server
from videorouter.data_builders.__main__ import main
from videorouter.data_builders.teacher import replies
from videorouter.data_builders.teacher.client import TeacherClient
from videorouter.data_builders.teacher.config import TeacherConfig
from videorouter.data_builders.teacher.errors import TeacherRefusal
from videorouter.data_builders.teacher.journal import Answer
from videorouter.data_builders.teacher.request import Picture, Request, data_url
from videorouter.data_builders.teacher.schemas import sent_schema
from videorouter.miniature.bases import ROBUST
from videorouter.shards import jpeg
from videorouter.shards.reader import ShardDataset

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900)]
SCHEMAS = (
    replies.FrameScores,
    replies.VideoAnswer,
    replies.Judgement,
    replies.QuestionCategory,
    replies.FrameCaptions,
    replies.ProposedQuestions,
    replies.Coherence,
)
IN_FLIGHT = 4


@pytest.fixture(scope="module")
def extra_body() -> dict[str, Any]:
    """A bias for what ends a string, a list, an object, in that order; none of the blanks that JSON allows."""
    tokenizer = AutoTokenizer.from_pretrained(ROBUST)
    wanted = {'"': 100, "{": 85, "]": 65, "}": 50, ",": 30, "1": 15, " ": -100, "\n": -100, "\t": -100, "\r": -100}
    return {"logit_bias": {str(_id(tokenizer, mark)): bias for mark, bias in wanted.items()}}


@pytest.fixture(scope="module")
def recorded(shipped_vllm: str) -> Iterator[Recording]:
    """That vLLM, and what it was asked."""
    with recording(shipped_vllm) as found:
        yield found


@pytest.fixture
def options(world: Path, recorded: Recording, extra_body: dict[str, Any], tmp_path: Path) -> list[str]:
    """A build of six questions about three videos, a frame a request: one score is all that such a model gets right."""
    rows = [json.loads(line) for line in (world / "questions.jsonl").read_text().splitlines()]
    videos = sorted({row["video"] for row in rows})[:3]
    chosen = [row for video in videos for row in [one for one in rows if one["video"] == video][:2]]
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in chosen))
    told = {
        "questions": tmp_path / "questions.jsonl",
        "videos": world,
        "frames": 4,
        "frame_size": 112,
        "window": 1,
        "videos_per_shard": 3,
        "teacher.base_url": recorded.address,
        "teacher.model": ROBUST,
        "teacher.concurrency": IN_FLIGHT,
        "teacher.extra_body": json.dumps(extra_body),
        "out": tmp_path / "out",
    }
    return [
        "flr",
        "annotate",
        "--necessity",
        *(word for name, value in told.items() for word in (f"--{name}", str(value))),
    ]


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.__name__)
def test_a_reply_to_each_schema_is_valid_and_counted(
    shipped_vllm: str, extra_body: dict[str, Any], schema: type[replies.Reply]
) -> None:
    config = TeacherConfig(shipped_vllm, str(ROBUST), max_tokens=512, extra_body=extra_body)
    answer = asked(config, Request(config.model, "Reply.", pictures(1), schema, parameters=config.parameters))
    jsonschema.validate(json.loads(answer.raw), sent_schema(schema))
    assert answer.usage.tokens_in > 16
    assert answer.usage.tokens_out > 0
    assert answer.usage.estimated == 0


def test_a_build_that_is_killed_goes_on_and_pays_for_what_was_in_flight_alone(
    options: list[str], recorded: Recording, tmp_path: Path
) -> None:
    recorded.bodies.clear()
    command = [sys.executable, "-m", "videorouter", "data_builders", *options]
    build = subprocess.Popen(command, start_new_session=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    while len(recorded.bodies) < 12 and build.poll() is None:
        time.sleep(0.05)
    os.killpg(build.pid, signal.SIGKILL)
    assert build.wait() == -signal.SIGKILL
    assert main(options) == 0
    distinct = {json.dumps(body, sort_keys=True) for body in recorded.bodies}
    assert len(recorded.bodies) <= len(distinct) + IN_FLIGHT
    labelled = [question for sample in ShardDataset(tmp_path / "out") for question in sample.questions]
    assert len(labelled) == 6
    assert {len(one.relevance.scores or ()) for one in labelled if one.relevance} == {4}
    paid = len(recorded.bodies)
    assert main(options) == 0
    assert len(recorded.bodies) == paid


def test_a_limit_on_tokens_beyond_the_context_ends_the_build(
    options: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main([*options, "--teacher.max_tokens", "5000"]) == 6
    assert "4096" in capfd.readouterr().err


def test_a_prompt_that_is_too_long_is_refused_alone(shipped_vllm: str) -> None:
    config = TeacherConfig(base_url=shipped_vllm, model=str(ROBUST))
    request = Request(config.model, "What is shown? " * 2000, (), replies.Judgement)
    with pytest.raises(TeacherRefusal, match="maximum context length"):
        asked(config, request)


def test_a_limit_on_pictures_ends_the_build_and_is_named(
    options: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    limit = ("--model-impl", "transformers", "--limit-mm-per-prompt", '{"image": 2}')
    with vllm_server(ROBUST, tmp_path / "log", *limit) as address:
        assert main([*options, "--teacher.base_url", address]) == 6
    printed = capfd.readouterr().err
    assert "At most 2 image(s)" in printed
    assert "counterfactual" in printed


def asked(config: TeacherConfig, request: Request) -> Answer:
    """The answer to one request."""

    async def keep(_: Answer) -> None:
        return None

    client = TeacherClient(config)
    return asyncio.run(client.run(client.send(request, keep)))


def pictures(count: int) -> tuple[Picture, ...]:
    """Grey ones."""
    url = data_url(jpeg.encode(np.full((112, 112, 3), 128, dtype=np.uint8), 95))
    return tuple(Picture(f"Frame-{number}:", url) for number in range(1, count + 1))


def _id(tokenizer: Any, mark: str) -> int:
    (token,) = tokenizer.encode(mark, add_special_tokens=False)
    return int(token)
