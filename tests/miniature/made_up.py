"""Predictions with a known share of right ones."""

from collections.abc import Sequence

from eval.predictions import Prediction

KIND_OF = {"fragment": "glyph_by_shape", "global": "count_cue"}


def predictions(system: str, right: float, policies: Sequence[str] = ("fragment", "global")) -> list[Prediction]:
    """Forty questions of each policy about ten videos, the share `right` of each answered rightly."""
    return [
        Prediction(
            item=f"{policy}-{number}",
            video=f"video-{number % 10}",
            group=KIND_OF[policy],
            system=system,
            budget=329,
            tokens=300,
            frames=[0],
            policy=None,
            text="A",
            choice="A" if number < round(right * 40) else "B",
            answer="A",
            options=3 if policy == "fragment" else 4,
            seconds_by_stage={"decode": 0.0, "vision": 0.0, "route": 0.0, "prefill": 0.0, "generate": 0.0},
        )
        for policy in policies
        for number in range(40)
    ]
