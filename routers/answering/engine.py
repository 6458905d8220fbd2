"""What turns embedded prompts into text: the backbone itself, or a server with the same model (ours)."""

from collections.abc import Callable, Sequence
from typing import Protocol

from videorouter.routers.backbones.prompt import Prompt, SharedPrefix
from videorouter.routers.backbones.protocol import Generated


class Engine(Protocol):
    """A `Backbone` is one; so is `videorouter.routers.answering.vllm_engine.VllmEngine`."""

    def generate(
        self,
        prompt: Prompt,
        max_new_tokens: int,
        *,
        shared: SharedPrefix | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Generated:
        """Greedy continuation of an embedded prompt; `on_text` hears it as it grows."""
        ...

    def generate_together(
        self, prompts: Sequence[Prompt], max_new_tokens: int, *, shared: SharedPrefix | None = None
    ) -> list[Generated]:
        """`generate` for several prompts at once."""
        ...
