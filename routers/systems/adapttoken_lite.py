"""AdaptToken-Lite: groups are run until enough of them were answered with certainty; the others are never looked at."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from videorouter.routers.systems.adapttoken import AdaptToken
from videorouter.routers.systems.adapttoken_groups import bit_reversed


@dataclass(frozen=True)
class AdaptTokenLite(AdaptToken):
    """AdaptToken (arXiv 2603.28696) that stops once `confident_groups` answers had an entropy of at most `max_entropy` nats.

    Tokens come from the groups seen alone. Ours, to be calibrated on held-out data: 0.15 nats, two groups; and
    `far_apart`, which visits groups in bit-reversed order, so that two that follow each other differ more.
    """

    confident_groups: int = 2
    max_entropy: float = 0.15
    far_apart: bool = False
    name: str = "adapttoken_lite"

    def visits(self, groups: list[list[int]]) -> Iterable[list[int]]:
        return [groups[number] for number in bit_reversed(len(groups))] if self.far_apart else groups

    def enough(self, certainties: Sequence[float]) -> bool:
        return sum(-certainty <= self.max_entropy for certainty in certainties) >= self.confident_groups
