"""LangChain's own package as a client of a running server."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.serve.client_environments import python_of
from tests.serve.prompts import data_video, frames, prompt
from tests.serve.serving import KEY, NAME, Serving

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300)]
PROGRAM = Path(__file__).with_name("langchain_program.py")
DENSE = 64 * 16


@pytest.fixture(scope="module")
def results(serving: Serving, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    python, folder, item = python_of("langchain"), tmp_path_factory.mktemp("langchain"), serving.items(1)[0]
    question = {"text": prompt(item), "video": item.video.as_uri(), "data": data_video(item.video)}
    question["pictures"] = frames(item.video, 64)[0]  # type: ignore[assignment]
    (folder / "question.json").write_text(json.dumps(question))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"OPENAI_API_KEY": KEY}
    command = [str(python), str(PROGRAM), serving.base_url, str(folder / "question.json")]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def routed(result: dict[str, Any]) -> bool:
    """Whether its prompt is one of far fewer tokens than the frames have."""
    return 100 < result["usage"]["input_tokens"] < DENSE / 2 + 100


def test_a_video_is_asked_about(results: dict[str, Any]) -> None:
    for name in ("invoke", "plain"):
        assert results[name]["text"], results[name]
        assert (results[name]["finish"], results[name]["model"]) == ("stop", NAME)
        assert routed(results[name])


def test_a_stream_has_the_same_text_and_usage(results: dict[str, Any]) -> None:
    assert results["stream"]["pieces"] > 2
    assert results["stream"]["text"].strip() == results["plain"]["text"] == results["astream"].strip()
    for name in ("input_tokens", "output_tokens", "total_tokens"):
        assert results["stream"]["usage"][name] == results["plain"]["usage"][name]


def test_a_batch_is_answered_as_its_questions_alone(results: dict[str, Any]) -> None:
    assert [one["text"] for one in results["batch"]] == [
        results[name]["text"] for name in ("plain", "pictures", "plain")
    ]


def test_pictures_are_the_frames_of_one_video_and_a_file_is_the_video(results: dict[str, Any]) -> None:
    assert routed(results["pictures"])
    assert results["file"] == results["plain"]


def test_extra_body_chooses_the_budget(results: dict[str, Any]) -> None:
    assert results["budget"]["usage"]["input_tokens"] < results["plain"]["usage"]["input_tokens"] - 100


def test_text_alone_is_answered(results: dict[str, Any]) -> None:
    assert results["text"]["text"]


@pytest.mark.parametrize(
    ("call", "error", "told"),
    [
        ("structured", "BadRequestError", "response_format is not possible with the own engine"),
        ("tools", "BadRequestError", "tools is not possible with the own engine"),
        ("key", "AuthenticationError", "API key"),
        ("model", "NotFoundError", "there is no model 'gpt-5'"),
    ],
)
def test_errors_are_those_that_langchain_users_know(results: dict[str, Any], call: str, error: str, told: str) -> None:
    assert error in results[call]["error"]
    assert told in results[call]["message"]
