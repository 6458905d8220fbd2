"""The released lmms-eval selects our systems by name, runs its own evaluator on them, and its files become a run of ours."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.eval.lmms_eval_environment import make_environment
from videorouter.eval.__main__ import main
from videorouter.eval.benchmarks.registry import load_items
from videorouter.eval.run_folder import read_run
from videorouter.miniature.bases import ROBUST_ROUTER
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.systems.query import question_text

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

FUNCTIONS = """
def shown(doc):
    return [doc["video"]]


def written(doc, lmms_eval_specific_kwargs=None):
    options = "\\n".join(f"({letter}) {option}" for letter, option in zip("ABCDE", doc["options"]))
    return doc["question"] + "\\nOptions:\\n" + options + "\\nAnswer with the option's letter only."


def scored(doc, results):
    return {"right": {"score": float(results[0][:1] == doc["answer"]), "videoID": doc["video"], "kind": doc["kind"]}}


def mean(results):
    return sum(one["score"] for one in results) / len(results)
"""
GENERATED = """
task: miniature_letters
dataset_path: json
dataset_kwargs: {data_files: {test: QUESTIONS}}
test_split: test
output_type: generate_until
generation_kwargs: {max_new_tokens: 8, until: ["\\n\\n"]}
doc_to_visual: !function functions.shown
doc_to_text: !function functions.written
doc_to_target: answer
process_results: !function functions.scored
metric_list: [{metric: right, aggregation: !function functions.mean, higher_is_better: true}]
"""
LIKELY = """
task: miniature_likely
dataset_path: json
dataset_kwargs: {data_files: {test: QUESTIONS}}
test_split: test
output_type: multiple_choice
doc_to_visual: !function functions.shown
doc_to_text: !function functions.written
doc_to_target: place
doc_to_choice: letters
target_delimiter: ""
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
"""

Run = Callable[..., Path]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return make_environment(tmp_path_factory.mktemp("lmms") / "environment")
    except ConnectionError as error:
        pytest.skip(f"lmms-eval cannot be fetched: {error}")


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory, world: Path) -> Path:
    folder = tmp_path_factory.mktemp("tasks")
    items = sorted(load_items("miniature", world, "test"), key=lambda item: item.id[::-1])[:8]  # videos in turn
    rows = [
        {
            "video": str(item.video), "question": item.question, "options": item.options, "answer": item.answer,
            "place": "ABCDE".index(item.answer), "letters": list("ABCDE"[: len(item.options)]), "kind": item.group,
        }
        for item in items
    ]  # fmt: skip
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "functions.py").write_text(FUNCTIONS)
    for name, text in (("letters", GENERATED), ("likely", LIKELY)):
        (folder / f"{name}.yaml").write_text(text.replace("QUESTIONS", str(folder / "questions.jsonl")))
    return folder


@pytest.fixture(scope="module")
def evaluated(python: Path, tasks: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    def run(task: str, more: str = "") -> Path:
        out = tmp_path_factory.mktemp("out")
        arguments = f"model={ROBUST_ROUTER},answers_out={out / 'answers.jsonl'},budget=300{more}"
        command = [
            str(python), "-m", "lmms_eval", "--model", "videorouter", "--model_args", arguments, "--tasks", task,
            "--include_path", str(tasks), "--device", "cpu", "--log_samples", "--output_path", str(out / "results"),
        ]  # fmt: skip
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environment |= {
            "HF_HOME": str(out / "hf"),
            "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
        }
        done = subprocess.run(command, cwd=out, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return out

    return run


def results(out: Path) -> dict[str, object]:
    (file,) = out.rglob("*_results.json")
    return json.loads(file.read_text())["results"]


def test_generated_answers_are_those_of_the_runtime(evaluated: Run, tasks: Path) -> None:
    out = evaluated("miniature_letters")
    (file,) = out.rglob("*_samples_miniature_letters.jsonl")
    samples = {row["doc_id"]: row for row in map(json.loads, file.read_text().splitlines())}
    noted = {row["doc_id"]: row for row in map(json.loads, (out / "answers.jsonl").read_text().splitlines())}
    questions = [json.loads(line) for line in (tasks / "questions.jsonl").read_text().splitlines()]
    assert len(samples) == len(noted) == len(questions)
    router = VideoRouter.from_pretrained(ROBUST_ROUTER)
    for place, question in enumerate(questions):
        own = router.answer(question["video"], question["question"], question["options"], budget=300, max_new_tokens=8)
        assert (noted[place]["tokens"], noted[place]["policy"]) == (own.tokens, own.policy)
        assert samples[place]["filtered_resps"] == own.text
    right = sum(samples[place]["filtered_resps"][:1] == question["answer"] for place, question in enumerate(questions))
    assert results(out)["miniature_letters"]["right,none"] == pytest.approx(right / len(questions))  # type: ignore[index]


def test_options_are_chosen_by_likelihood(evaluated: Run, tasks: Path) -> None:
    system = "videorouter(screen_side=56,min_confidence=0.1)"
    out = evaluated("miniature_likely", f',system="{system}",frames=32')
    (file,) = out.rglob("*_samples_miniature_likely.jsonl")
    samples = {row["doc_id"]: row["filtered_resps"] for row in map(json.loads, file.read_text().splitlines())}
    router = VideoRouter.from_pretrained(ROBUST_ROUTER)
    compressing, right = router.system(system), 0
    for place, question in enumerate(map(json.loads, (tasks / "questions.jsonl").read_text().splitlines())):
        watched = router.watch(question["video"], frames=32, on_demand=True)
        query = watched.query(question["question"], tuple(question["options"]))
        kept = compressing.compress(watched.tokens, query, 300)  # type: ignore[arg-type]
        prompt = router.backbone.embed_prompt(kept, question_text(query), watched.seconds)
        logs = router.backbone.next_token_logits(prompt).float().log_softmax(-1)
        losses = [-float(logs[router.backbone.token_id(letter)]) for letter in question["letters"]]
        assert [float(loss) for loss, _ in samples[place]] == pytest.approx(losses, abs=1e-3)
        right += losses.index(min(losses)) == question["place"]
    assert results(out)["miniature_likely"]["acc,none"] == pytest.approx(right / len(samples))  # type: ignore[index]


def test_its_files_become_a_run(evaluated: Run, tmp_path: Path) -> None:
    out = evaluated("miniature_letters", ",system=frame_budget")
    files = [str(path) for path in out.rglob("*_samples_*.jsonl")] + [str(path) for path in out.rglob("*_results.json")]
    told = [
        "--benchmark",
        "miniature",
        "--model",
        "robust",
        "--system",
        "frame_budget",
        "--frames",
        "64",
        "--cap",
        "300",
    ]
    assert main(["convert", "--from", "lmms_eval", *files, *told, "--out", str(tmp_path / "run")]) == 0
    run = read_run(tmp_path / "run")
    assert len(run.predictions) == 8
    assert all(prediction.choice and prediction.tokens is None for prediction in run.predictions)
    assert len({prediction.video for prediction in run.predictions}) == 2
