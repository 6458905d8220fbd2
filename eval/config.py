"""The options of a comparison and of a report, for command line and YAML file. Loads without torch."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from videorouter.routers.backbones.loading_options import LoadingOptions
from videorouter.routers.routing.allocation import Scales
from videorouter.routers.systems.spec import ROUTED, parse_spec

Scoring = Literal["likelihood", "generate"]


@dataclass(frozen=True)
class Point:
    """Where systems are compared: at most `budget` visual tokens a question; frames and scales are the config's where null."""

    budget: int
    frames: int | None = None
    scales: Scales | None = None


@dataclass
class EvalConfig(LoadingOptions):
    """One comparison, or as many as there are `points`; the base is loaded as `LoadingOptions` say.

    Args:
        model: router folder; without one the base alone answers, with systems that need no router
        data: benchmark folder
        out: folder for everything that the run leaves (`videorouter.eval.run_folder`); an interrupted run goes on there
        benchmark: benchmark name
        model_name: what predictions call the model
        subtitles: ask in the wording with subtitles, where the benchmark has one
        split: split that is compared on
        validation_split: split on which `uniform_pooling` chooses its scale, the finest that spends the tokens where null; router
            quality is reported on both
        systems: systems compared; `videorouter` sets the tokens of the others. Controls: `blind`, `shuffled+SYSTEM`
        budget: cap in visual tokens a question; the router's own where null
        frames: frames sampled a video; the router's own where null
        scales: compression scales; the router's own where null
        points: several budgets, frames and scales in one run, in place of these
        remembered_videos: videos kept encoded in host memory from one point to the next
        scoring: likelihood (of option letters) or generate (and parse)
        share_passes: questions of a video reuse each other's prefill where a system kept the same tokens, and systems and points
            share what a pass over the frames found, and answers to the same prompt: the same answers sooner, but seconds of route
            and prefill are then no latency of a question
        answers_at_once: a system's answers to so many questions are generated in one batch, and the seconds divided equally; which
            questions share a batch never depends on the number of processes
        limit: at most this many questions
        validation_limit: at most this many questions of the validation split
        retry_failed: ask again what failed in a finished run of the same configuration in `out`
        router_quality: whether the routers themselves are measured, too, where the ground truth is known
        encoder: CLIP or SigLIP checkpoint that relevance_pooling compares frames and questions with
        base: base model, folder or Hub id; with a router only if it does not lie where the router folder says
        accept_base: use a base that is another one than the routers were trained on, and say what differs
        revision: of a base alone on the Hub
        engine: what generates: `own`, the base as it is loaded here, or `vllm`, a server at `upstream` with the same model, to
            which embedded prompts are sent; `answers_at_once` are then in flight together
        upstream: address of that server, up to /v1
        upstream_model: the name that it serves the model under, where it serves several
        upstream_dtype: precision of the embeddings sent, which is the engine's
    """

    data: Path
    out: Path
    model: Path | None = None
    benchmark: str = "miniature"
    model_name: str = "router"
    subtitles: bool = False
    split: str = "test"
    validation_split: str | None = "val"
    systems: list[str] = field(default_factory=lambda: ["dense", "oracle", "frame_budget", "uniform_pooling", ROUTED])
    budget: int | None = None
    frames: int | None = None
    scales: Scales | None = None
    points: list[Point] | None = None
    remembered_videos: int = 0
    scoring: Scoring = "generate"
    share_passes: bool = False
    answers_at_once: int = 1
    limit: int | None = None
    validation_limit: int | None = 40
    retry_failed: bool = False
    router_quality: bool = True
    encoder: str | None = None
    base: str | None = None
    accept_base: bool = False
    revision: str | None = None
    engine: Literal["own", "vllm"] = "own"
    upstream: str | None = None
    upstream_model: str | None = None
    upstream_dtype: Literal["float32", "bfloat16", "float16"] | None = None

    def __post_init__(self) -> None:
        """Write systems in one way, whatever their spacing.

        Raises `ValueError` for numbers below 1, neither model nor base, a system named twice and a routed one without a router.
        """
        self.systems = [str(parse_spec(name)) for name in self.systems]
        if twice := [name for place, name in enumerate(self.systems) if name in self.systems[:place]]:
            raise ValueError(f"`systems` names {twice[0]} twice: name it once")
        if not self.systems:
            raise ValueError("`systems` is empty: name at least one, such as dense")
        if self.model is None and self.base is None:
            raise ValueError("give --model with a router folder, or --base with a base model alone")
        if (self.engine == "vllm") != (self.upstream is not None):
            raise ValueError(
                "engine vllm and upstream go together: give --engine vllm --upstream http://127.0.0.1:8000/v1"
            )
        if self.engine != "own" and self.scoring != "generate":
            raise ValueError("an engine generates text and gives no likelihoods of letters: take --scoring generate")
        for name in ("budget", "frames", "limit", "validation_limit", "answers_at_once"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}: give 1 or more")
        if self.model is not None and ROUTED not in self.systems:
            raise ValueError(f"`systems` needs {ROUTED!r}: its fed tokens are what the others are given")
        if self.model is None and ROUTED in self.systems:
            raise ValueError(
                f"{ROUTED} needs a router, and there is only a base: name --systems without it, or give --model"
            )


@dataclass
class ReportConfig:
    """One report.

    Args:
        out: folder to write index.html, tables.md, tables.tex and tables.csv in; what is there of these is replaced
        reference: system that differences are taken to, and whose tokens the compared ones must have been fed; videorouter where
            null, and in runs without it the first compared system
        mix_budgets: report systems fed other tokens than the reference, too, and add a table across budgets
        questions: how many questions the page shows one by one
        apart: more systems whose rows are set apart from the comparison
    """

    out: Path = Path("report")
    reference: str | None = None
    mix_budgets: bool = False
    questions: int = 24
    apart: list[str] = field(default_factory=list)
