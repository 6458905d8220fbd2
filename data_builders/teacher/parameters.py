"""How requests are asked beside their words and pictures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

USUAL: Mapping[str, Any] = {"max_tokens": None, "temperature": 0.0, "extra_body": {}}
"""The parameters that change replies, as they are where nobody sets them: then they are part of no key and no fingerprint, so that
what was begun before they could be set goes on."""


@dataclass(frozen=True)
class Parameters:
    """What is sent with every request; `max_tokens` None is the limit of its kind, `temperature` None is left out."""

    max_tokens: int | None = None
    temperature: float | None = 0.0
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    max_tokens_name: str = "max_tokens"

    @property
    def unusual(self) -> dict[str, Any]:
        """Those that change replies and are not `USUAL`."""
        return {name: getattr(self, name) for name, usual in USUAL.items() if getattr(self, name) != usual}


USUAL_PARAMETERS = Parameters()
