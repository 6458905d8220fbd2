"""lmms-eval's own clients of OpenAI's interface evaluate a running server, by frames as PNG pictures or by files."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.eval.test_lmms_eval_plugin import FUNCTIONS, GENERATED
from tests.serve.client_environments import python_of
from tests.serve.serving import KEY, NAME, Serving

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]
QUESTIONS = 6
ANSWERED = 'videorouter_requests_total{status="200",way="chat"}'
SPARED = "videorouter_visual_tokens_spared_total"


@pytest.fixture(scope="module")
def tasks(serving: Serving, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tasks")
    rows = [
        {"video": str(item.video), "question": item.question, "options": item.options, "answer": item.answer, "kind": item.group}
        for item in serving.items(QUESTIONS)
    ]  # fmt: skip
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "functions.py").write_text(FUNCTIONS)
    (folder / "letters.yaml").write_text(GENERATED.replace("QUESTIONS", str(folder / "questions.jsonl")))
    return folder


@pytest.mark.parametrize(
    ("model", "options", "dense"),
    [
        ("openai", "max_frames_num=64", 64 * 16),
        ("openai", "max_frames_num=64,pass_video_url=True", 64 * 16),
        ("async_openai", "nframes=64,is_qwen3_vl=True", 64 * 16),
    ],
)
def test_scores_come_out_and_every_question_was_routed(
    serving: Serving, tasks: Path, tmp_path: Path, model: str, options: str, dense: int
) -> None:
    answered, spared = serving.count(ANSWERED), serving.count(SPARED)
    arguments = f"model_version={NAME},base_url={serving.base_url},{options}"
    command = [
        str(python_of("lmms-eval")), "-m", "lmms_eval", "--model", model, "--model_args", arguments, "--tasks",
        "miniature_letters", "--include_path", str(tasks), "--log_samples", "--output_path", str(tmp_path / "results"),
    ]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    environment |= {"OMP_NUM_THREADS": "1", "OPENAI_API_KEY": KEY}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    files = list(tmp_path.rglob("*_results.json"))
    assert len(files) == 1, done.stdout + done.stderr
    score = json.loads(files[0].read_text())["results"]["miniature_letters"]["right,none"]
    assert score >= 0.5, done.stderr
    assert serving.count(ANSWERED) - answered == QUESTIONS
    assert serving.count(SPARED) - spared > QUESTIONS * dense / 2
