"""A sweep of the routers' choices by Optuna: k is trained once for each value, threshold and scales are exported again.

    python examples/sweep/sweep.py --base BASE --flr SHARDS --qtr SHARDS --data BENCHMARK --out runs/sweep --trials 40

Every trial is a router folder and a run of `videorouter eval` on the validation split. It has two values, accuracy (the more the
better) and mean visual tokens (the fewer the better): what is printed at the end are the trials that no other beats in both. The
study is a file in the output folder: the same command resumes an interrupted sweep, and several machines that see the folder
may work on it at once.
"""

import json
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from jsonargparse import auto_cli
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import MaxTrialsCallback
from optuna.trial import FrozenTrial, Trial, TrialState
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Sweep:
    """What is trained, on what, and which values are tried.

    Args:
        base: base model of the routers
        flr: shards that stage 1 learns from
        qtr: shards that stage 2 learns from
        data: benchmark folder; trials are compared on its validation split, so that its test split stays unseen
        out: folder of everything that the sweep leaves
        trials: trials in all, earlier ones of the same folder included
        benchmark: its name
        layers: values of k, the first layers that routers read
        thresholds: fewest and most: a frame is relevant above this probability
        scales: of a question routed to `global`, and of its irrelevant frames under `fragment`; relevant ones stay whole
        budget: cap in visual tokens a question; the router's own where not given
        image_config: configuration of stage 1
        semantic_config: configuration of stage 2
        train_options: further options of both trainings, as one text
        eval_options: further options of `eval run`, as one text
        seed: of the sampler
    """

    base: Path
    flr: Path
    qtr: Path
    data: Path
    out: Path
    trials: int = 40
    benchmark: str = "miniature"
    layers: tuple[int, ...] = (1, 2, 4)
    thresholds: tuple[float, float] = (0.02, 0.6)
    scales: tuple[int, ...] = (1, 2, 4, 8)
    budget: int | None = None
    image_config: str = "train/image_router"
    semantic_config: str = "train/semantic_router"
    train_options: str = ""
    eval_options: str = ""
    seed: int = 0

    def __call__(self, trial: Trial) -> tuple[float, float]:
        """Accuracy and mean visual tokens of one choice."""
        k = trial.suggest_categorical("k", self.layers)
        threshold = trial.suggest_float("threshold", *self.thresholds, log=True)
        everywhere = trial.suggest_categorical("global scale", self.scales)
        irrelevant = trial.suggest_categorical("irrelevant scale", self.scales)
        folder = self.out / "trials" / f"{trial.number:04}"
        heads = [str(self._trained(stage, k)) for stage in ("image", "semantic")]
        self._run(
            "routers", "export", "--checkpoint", *heads, "--out", folder / "router", "--threshold", threshold,
            "--scales", f"[{everywhere},1,{irrelevant}]",
        )  # fmt: skip
        budget = [] if self.budget is None else ["--budget", self.budget]
        self._run(
            "eval", "run", "--model", folder / "router", "--data", self.data, "--benchmark", self.benchmark, "--split", "val",
            "--validation_split", "null", "--systems", "[videorouter]", "--out", folder / "eval", *budget,
            *shlex.split(self.eval_options),
        )  # fmt: skip
        (found,) = json.loads((folder / "eval" / "summary.json").read_text())["systems"]
        return found["accuracy"], found["tokens_mean"]

    def _trained(self, stage: str, k: int) -> Path:
        """The best checkpoint of a stage that reads k layers; it is trained where that was not done yet."""
        out = self.out / f"k-{k}" / stage
        done = out / "trained"
        config, shards = (self.image_config, self.flr) if stage == "image" else (self.semantic_config, self.qtr)
        if not done.exists():
            self._run(
                "train", "fit", "--config", config, "--model.init_args.base", self.base, "--model.init_args.shadow_layers", k,
                "--data.init_args.shards", shards, "--out", out, "--resume", "auto", *shlex.split(self.train_options),
            )  # fmt: skip
            done.touch()
        return out / "checkpoints" / "best.ckpt"

    def _run(self, *words: Any) -> None:
        """One `videorouter` command, what it says in a log. Raises `CommandFailed`."""
        log = self.out / "sweep.log"
        with log.open("ab") as file:
            done = subprocess.run([sys.executable, "-m", "videorouter", *map(str, words)], stdout=file, stderr=file)
        if done.returncode:
            last = log.read_text(errors="replace").strip().rpartition("\n")[2]
            raise CommandFailed(
                f"{' '.join(map(str, words[:2]))} ended with exit code {done.returncode}: {last}; see {log}"
            )


class CommandFailed(RuntimeError):
    """A command of a trial failed; the message has its last words, and where the others are."""


def sweep(asked: Sweep) -> None:
    """Try until there are as many trials as are asked for; print those that no other beats in accuracy and tokens."""
    asked.out.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        study_name="videorouter",
        storage=JournalStorage(JournalFileBackend(str(asked.out / "study.log"))),
        sampler=optuna.samplers.TPESampler(seed=asked.seed),
        directions=["maximize", "minimize"],
        load_if_exists=True,
    )
    enough = MaxTrialsCallback(asked.trials, states=(TrialState.COMPLETE,))
    if sum(trial.state == TrialState.COMPLETE for trial in study.trials) < asked.trials:
        study.optimize(asked, callbacks=[enough])
    show(study.best_trials)


def show(trials: list[FrozenTrial]) -> None:
    """A table, fewest tokens first."""
    table = Table("trial", "k", "threshold", "scales", "accuracy", "tokens", title="no trial beats these in both")
    for trial in sorted(trials, key=lambda trial: trial.values[1]):
        chosen, (accuracy, tokens) = trial.params, trial.values
        scales = f"({chosen['global scale']}; 1, {chosen['irrelevant scale']})"
        table.add_row(
            str(trial.number),
            str(chosen["k"]),
            f"{chosen['threshold']:.3f}",
            scales,
            f"{accuracy:.3f}",
            f"{tokens:.0f}",
        )
    Console().print(table)


if __name__ == "__main__":
    try:
        sweep(auto_cli(Sweep, as_positional=False))
    except CommandFailed as error:
        sys.exit(f"error: {error}")
