"""What `eval run` costs beside the answers: its wall time against the same answers by the systems called directly.

Both load the router, decode and encode each video once and answer the same questions at the same budgets; the run also keeps a
journal, resamples intervals, draws its picture and writes its folder. Random weights, wide enough that an answer takes at least
200 ms on a laptop's core: smaller ones would measure Python. They take turns; the ratio of one run is what counts.
Then generated answers, one by one against eight at once.
"""

import argparse
import statistics
import time
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from eval.benchmarks import load_items
from eval.experiment import EvalConfig
from eval.experiment import run as evaluate
from eval.predictions import Prediction, read
from eval.run_folder import PREDICTIONS
from eval.runner import Runner
from miniature.base import write_base
from miniature.untrained import write_untrained_router
from miniature.world import build_world
from routers import VideoRouter
from routers.answers import letters
from routers.prompts import question_text

SYSTEMS = ("videorouter", "frame_budget", "vidcom2")
LEAST_SECONDS = 0.2
AT_ONCE = 8


def main() -> None:
    """Time both and print milliseconds an answer and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--videos", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        home = Path(folder)
        write_base(home / "base", width=options.width, text_layers=options.layers)
        write_untrained_router(home / "router", home / "base")
        build_world(home / "world", options.videos, seed=0, questions_per_video=10, splits=(0, 0, 100))
        seconds: dict[str, list[float]] = {"eval run": [], "direct": []}
        for turn in range(options.rounds):
            started = time.perf_counter()
            made = by_run(home, home / f"run-{turn}")
            seconds["eval run"].append((time.perf_counter() - started) / len(made))
            started = time.perf_counter()
            choices = directly(home, made)
            seconds["direct"].append((time.perf_counter() - started) / len(made))
            assert choices == [prediction.choice for prediction in made], "the two answered differently"
            run, direct = (taken[-1] for taken in seconds.values())
            print(f"turn {turn + 1}: {1000 * run:.0f} ms an answer by eval run, {1000 * direct:.0f} directly", flush=True)
        generated: dict[int, list[float]] = {1: [], AT_ONCE: []}
        for turn in range(options.rounds):
            for at_once, taken in generated.items():
                started = time.perf_counter()
                written = by_run(
                    home, home / f"generated-{turn}-{at_once}", scoring="generate", answers_at_once=at_once, limit=24
                )
                taken.append((time.perf_counter() - started) / len(written))
    run, direct = (statistics.median(seconds[name]) for name in ("eval run", "direct"))
    print(
        f"{len(made)} answers: {1000 * run:.0f} ms each by eval run, {1000 * direct:.0f} directly: {run / direct:.3f}"
    )
    one, several = (statistics.median(generated[at_once]) for at_once in (1, AT_ONCE))
    print(
        f"{len(written)} generated answers: {1000 * one:.0f} ms each one by one, {1000 * several:.0f} with {AT_ONCE} at once: "
        f"{several / one:.3f}"
    )
    if direct < LEAST_SECONDS:
        print(f"below {1000 * LEAST_SECONDS:.0f} ms an answer: give more --width or --layers")


def by_run(home: Path, out: Path, **more: Any) -> list[Prediction]:
    """The predictions of a whole run, from nothing to its folder; by likelihood where `more` of `EvalConfig` does not say."""
    config = EvalConfig(
        home / "router",
        home / "world",
        out,
        validation_split=None,
        systems=list(SYSTEMS),
        budget=329,
        scoring="likelihood",
        router_quality=False,
    )
    evaluate(replace(config, **more))
    return read(out / PREDICTIONS)


@torch.no_grad()
def directly(home: Path, made: list[Prediction]) -> list[str]:
    """The choices of the same systems for the same questions at the same budgets."""
    router = VideoRouter.from_pretrained(home / "router")
    asker, backbone = Runner(router, "likelihood"), router.backbone
    items = {item.id: item for item in load_items("miniature", home / "world", "test")}
    systems = {name: router.system(name, fill=name != "videorouter") for name in SYSTEMS}
    choices = []
    for _, group in groupby(made, key=lambda prediction: prediction.video):
        questions = list(group)
        watched = router.watch(items[questions[0].item].video)
        for asked in questions:
            query = asker.query(items[asked.item], watched)
            kept = systems[asked.system].compress(watched.all_tokens, query, asked.budget or 0)
            logits = backbone.next_token_logits(backbone.embed_prompt(kept, question_text(query), query.seconds))
            names = letters(query.options or ())
            choices.append(names[int(logits[[backbone.token_id(name) for name in names]].argmax())])
    return choices


if __name__ == "__main__":
    main()
