"""What one microbatch of a parsed `fit` computes and holds, from configs alone (ours)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from videorouter.routers.checkpoints.hub import DESCRIPTION, router_folder
from videorouter.routers.checkpoints.router_folder import read_config
from videorouter.routers.cost.families import geometry_of
from videorouter.routers.cost.flops import routed_stages
from videorouter.routers.cost.geometry import Geometry
from videorouter.routers.cost.workload import Workload
from videorouter.routers.routing.allocation import Scales
from videorouter.train.logs.throughput import ModelFlops
from videorouter.train.preflight.step_activations import (
    ANSWER_TOKENS,
    Microbatch,
    answer_activations,
    frozen_activations,
    kept_numbers,
    shadow_activations,
)


@dataclass(frozen=True)
class StepCost:
    """One microbatch: `workload` is asked `questions_each` times about each of `videos` videos."""

    geometry: Geometry
    flops: ModelFlops
    workload: Workload
    videos: int
    questions_each: int

    def of_router(self, bytes_per_number: int, *, images: bool, learning: bool) -> float:
        """Bytes that stages 1 (`images`) and 2 hold at their peak; `learning` says that the layers below the head learn."""
        if not images:
            tokens = self._questions * self.workload.question_tokens
            kept = self.workload.shadow_layers if learning else 1
            return tokens * kept * kept_numbers(self.geometry.decoder, bytes_per_number) * bytes_per_number
        found = frozen_activations(self.geometry, self.workload, self.videos, bytes_per_number)
        if learning:
            found += shadow_activations(self.geometry, self.workload, self._microbatch(0), bytes_per_number)
        return found

    def of_answers(self, bytes_per_number: int, checkpointing: bool) -> float:
        """Bytes that stage 3 holds at its peak, on prompts as long as routing ever makes them. Raises as `routed_stages`."""
        frozen = frozen_activations(self.geometry, self.workload, self.videos, bytes_per_number)
        longest = self._microbatch(routed_stages(self.geometry, self.workload).longest)
        return max(frozen, answer_activations(self.geometry, longest, bytes_per_number, checkpointing))

    def operations(self, stage: int, *, whole: bool = False) -> float:
        """FLOPs of stage 1, 2 or 3, with the way back of answers through the `whole` language model or to adapters.

        Raises as `routed_stages`.
        """
        asked = [self.workload.question_tokens] * self.questions_each
        if stage == 2:
            return self.videos * self.flops.policies(asked)
        vision, frames = self.geometry.vision, self.workload.units(self.geometry.vision.frames_per_patch)
        seen = self.flops.frames(frames, vision.size) + self.flops.relevance(frames, vision.tokens, asked)
        if stage == 1:
            return self.videos * seen
        prompt = round(routed_stages(self.geometry, self.workload).prompt)
        return self.videos * seen + self._questions * self.flops.answer(prompt, ANSWER_TOKENS, whole)

    @property
    def _questions(self) -> int:
        return self.videos * self.questions_each

    def _microbatch(self, prompt: float) -> Microbatch:
        return Microbatch(self.videos, self._questions, prompt)


def stage_of(asked: Namespace) -> int:
    """1, 2 or 3, by the class that is asked for."""
    if "routers" in asked.model.init_args:
        return 3
    return 2 if asked.model.class_path.endswith("SemanticRouterModule") else 1


def described_routers(options: Namespace) -> Path:
    """The router folder that stage 3's options name, or a copy of its description from the Hub, without weights."""
    return router_folder(options.routers, options.get("routers_revision"), DESCRIPTION)


def step_of(asked: Namespace, config: Any) -> StepCost | None:
    """Of a parsed `fit` on a base with this config; None for a family without formulas."""
    options, data = asked.model.init_args, asked.data.init_args
    routed = read_config(described_routers(options)) if "routers" in options else options
    flops = ModelFlops.of(config, routed.shadow_layers)
    if flops is None:
        return None
    geometry = geometry_of(config)
    scales = options.get("scales") or (routed.scales if "routers" in options else Scales())
    workload = Workload(
        frames=routed.frames or Workload.frames, budget=routed.budget, scales=scales, shadow_layers=routed.shadow_layers
    )
    questions = int(data.batch_size)
    each = min(questions, int(data.get("questions_per_item") or questions))
    return StepCost(geometry, flops, workload, -(-questions // each), each)
