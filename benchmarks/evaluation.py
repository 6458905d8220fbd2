"""What `eval run` costs beside the answers: its wall time against the same answers by the systems called directly.

Both load the router and answer the same questions at the same budgets; the run also watches each video a second time (what the
router spends sets the others' budgets), keeps a journal, resamples intervals, draws its picture and writes its folder. Random
weights, wide enough that an answer takes at least 200 ms on a laptop's core: smaller ones would measure Python. They take turns
at being first; the median of the turns' ratios counts. Where the same work differs by a tenth from turn to turn, that says
little, so the run's own clocks are read, too: its seconds beyond decoding and encoding each video once, routing and prefill.
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

from videorouter.eval.benchmarks.registry import load_items
from videorouter.eval.config import EvalConfig
from videorouter.eval.run_folder import PREDICTIONS, Prediction, read_predictions
from videorouter.eval.running.experiment import run as evaluate
from videorouter.eval.running.runner import Runner
from videorouter.miniature.pretraining.model import write_base, write_untrained_router
from videorouter.miniature.world.build import build_world
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.systems.query import letters, question_text

SYSTEMS = ("videorouter", "frame_budget", "vidcom2")
LEAST_SECONDS = 0.2
AT_ONCE = 8


def main() -> None:
    """Make a router and a world, and time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--videos", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        home = Path(folder)
        write_base(home / "base", width=options.width, text_layers=options.layers)
        write_untrained_router(home / "router", home / "base")
        build_world(home / "world", options.videos, seed=0, questions_per_video=10, splits=(0, 0, 100))
        beside_direct_calls(home, options.rounds)
        one_by_one_and_at_once(home, options.rounds)


def beside_direct_calls(home: Path, rounds: int) -> None:
    """Print each turn's milliseconds an answer, the ratio of both ways, and what a run does beside answering."""
    made = by_run(home, home / "first")  # its imports are nobody's
    ratios, beside, direct_seconds = [], [], []
    for turn in range(rounds):
        seconds = {}
        for way in ("run", "direct") if turn % 2 else ("direct", "run"):
            started = time.perf_counter()
            if way == "direct":
                choices = directly(home, made)
            else:
                made = by_run(home, home / f"run-{turn}")
            seconds[way] = (time.perf_counter() - started) / len(made)
        assert choices == [prediction.choice for prediction in made], "the two answered differently"
        answering = seconds_of_answering(made) / len(made)
        ratios.append(seconds["run"] / seconds["direct"])
        beside.append(seconds["run"] / answering - 1)
        direct_seconds.append(seconds["direct"])
        print(
            f"turn {turn + 1}: {1000 * seconds['run']:.0f} ms an answer by eval run, {1000 * answering:.0f} of them "
            f"answering; {1000 * seconds['direct']:.0f} directly",
            flush=True,
        )
    print(
        f"{len(made)} answers by eval run and directly: {statistics.median(ratios):.3f} "
        f"({min(ratios):.3f}-{max(ratios):.3f}); what a run does beside answering: {statistics.median(beside):.3f} of it "
        f"({min(beside):.3f}-{max(beside):.3f})"
    )
    if statistics.median(direct_seconds) < LEAST_SECONDS:
        print(f"below {1000 * LEAST_SECONDS:.0f} ms an answer: give more --width or --layers")


def one_by_one_and_at_once(home: Path, rounds: int) -> None:
    """Print milliseconds a generated answer, asked one by one and with `AT_ONCE` at once."""
    seconds: dict[int, list[float]] = {1: [], AT_ONCE: []}
    for turn in range(rounds):
        for at_once, taken in seconds.items():
            started = time.perf_counter()
            out = home / f"generated-{turn}-{at_once}"
            made = by_run(home, out, scoring="generate", answers_at_once=at_once, limit=24)
            taken.append((time.perf_counter() - started) / len(made))
    one, several = (statistics.median(seconds[at_once]) for at_once in (1, AT_ONCE))
    print(
        f"{len(made)} generated answers: {1000 * one:.0f} ms each one by one, {1000 * several:.0f} with {AT_ONCE} at once: "
        f"{several / one:.3f}"
    )


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
    return read_predictions(out / PREDICTIONS)


def seconds_of_answering(made: list[Prediction]) -> float:
    """By a run's own clocks: decoding and encoding each video once, and every answer's routing and prefill."""
    videos = {prediction.video: prediction.seconds_by_stage for prediction in made}
    watching = sum(stages["decode"] + stages["vision"] for stages in videos.values())
    return watching + sum(p.seconds_by_stage["route"] + p.seconds_by_stage["prefill"] for p in made)


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
