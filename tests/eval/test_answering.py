"""A prompt that was answered is not answered again where passes are shared: other systems and budgets keep the same tokens."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.progress import Progress

from videorouter.eval.benchmarks.registry import load_items
from videorouter.eval.config import Scoring
from videorouter.eval.run_folder import Prediction
from videorouter.eval.running.runner import Runner
from videorouter.routers.answering.video_router import VideoRouter


@pytest.mark.parametrize(("scoring", "verb"), [("likelihood", "next_token_logits"), ("generate", "generate")])
def test_the_same_tokens_for_the_same_question_are_one_pass(
    world: Path, router: Path, monkeypatch: pytest.MonkeyPatch, scoring: Scoring, verb: str
) -> None:
    loaded, passes = VideoRouter.from_pretrained(router).resampled(8), []
    answer = getattr(loaded.backbone, verb)

    def counting(*given: Any, **more: Any) -> Any:
        passes.append(1)
        return answer(*given, **more)

    monkeypatch.setattr(loaded.backbone, verb, counting)
    items = load_items("miniature", world, "test", 2)
    systems = [loaded.system(name) for name in ("frame_budget", "dense", "frame_budget(fill=true)", "oracle")]
    made: dict[bool, Sequence[Prediction]] = {}
    counts = {}
    for sharing in (False, True):
        runner = Runner(loaded, scoring, share_passes=sharing)
        before = len(passes)
        made[sharing] = [
            one
            for budget in (64, 100)
            for one in runner.run(
                items, systems, {s.name: [budget] * len(items) for s in systems}, Progress(disable=True)
            )
        ]
        counts[sharing] = len(passes) - before
    said = {sharing: [(one.item, one.system, one.text, one.choice) for one in made[sharing]] for sharing in made}
    assert said[True] == said[False]
    assert counts[False] == len(made[False])
    prompts = {(one.item, tuple(one.tokens_by_frame), tuple(one.frames)) for one in made[True]}
    assert counts[True] == len(prompts) < counts[False]
    assert all(one.seconds_by_stage["shared prefill"] > 0 for one in made[True])
