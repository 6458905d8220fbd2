"""A vLLM that decodes prompts embedded here: routed frames of any number of tokens, no flag of ours in the engine (ours).

`POST /v1/completions` with `prompt_embeds`, which vLLM takes under `--enable-prompt-embeds`. It numbers positions 0..L-1, as our
own runtime does for families without M-RoPE. A prompt is D numbers a token, at 8B some 74 MB for 10,000 tokens: a server nearby.
"""

import base64
import io
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

import torch
from torch import Tensor

from videorouter.routers.backbones.finite import finite
from videorouter.routers.backbones.prompt import Prompt, SharedPrefix
from videorouter.routers.backbones.protocol import Generated

FLAG: Final = "--enable-prompt-embeds"
GREEDY: Final = {"repetition_penalty": 1.0, "top_k": -1, "top_p": 1.0, "min_p": 0.0}
"""What a checkpoint's generation settings may ask of vLLM, and our own decoding does not do."""


class EngineError(ValueError):
    """The engine was not reached, or did not answer; the message says which, and what to do."""


class VllmEngine:
    """Greedy answers of the model that a vLLM server at `upstream` (its address up to `/v1`) serves."""

    def __init__(
        self, upstream: str, model: str | None = None, dtype: torch.dtype | None = None, timeout: float = 600.0
    ) -> None:
        """`model` is the served name, the only one there is where null. `dtype` is the engine's, the prompt's own where null.

        The key, where the server wants one, is read from `OPENAI_API_KEY`; `timeout` in seconds. Raises `ValueError` for an address
        that is none, `EngineError` where nothing answers there, or it serves several models or another one.
        """
        from openai import OpenAI

        if not upstream.startswith(("http://", "https://")):
            raise ValueError(f"upstream {upstream!r} is no address: give one such as http://127.0.0.1:8000/v1")
        self.upstream, self.dtype = upstream.rstrip("/"), dtype
        key = os.environ.get("OPENAI_API_KEY", "none")
        self._client: OpenAI = OpenAI(base_url=self.upstream, api_key=key, timeout=timeout, max_retries=0)
        self.model = self._served(model)

    def generate(
        self,
        prompt: Prompt,
        max_new_tokens: int,
        *,
        shared: SharedPrefix | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Generated:
        """As `Backbone.generate`; `shared` is not read: the engine has a prefix cache of its own.

        Seconds are those of the answer on its way: the first token's (the prompt's transfer included), and the rest. Raises
        `ValueError` for a prompt with positions or features that cannot be sent, `EngineError` where the engine refuses it
        or breaks off.
        """
        embedded = encoded_prompt(prompt, self.dtype)
        started, first, text = time.perf_counter(), 0.0, ""
        finish, usage = None, None
        with _asking(self.upstream):
            pieces = self._client.completions.create(
                model=self.model,
                prompt=None,  # an empty one would be asked as well
                max_tokens=max_new_tokens,
                temperature=0.0,
                stream=True,
                stream_options={"include_usage": True},
                extra_body={"prompt_embeds": embedded, **GREEDY},
            )
            for piece in pieces:
                first = first or time.perf_counter()
                usage = piece.usage or usage
                if not piece.choices:
                    continue
                new, finish = piece.choices[0].text, piece.choices[0].finish_reason or finish
                text += new
                if on_text is not None and new:
                    on_text(new)
        ended = time.perf_counter()
        if usage is None or finish is None:
            raise EngineError(
                f"the engine at {self.upstream} broke off: its answer has no end, or does not say its tokens"
            )
        seconds = (first or ended) - started, ended - (first or ended)
        return Generated(text.strip(), *seconds, tokens=usage.completion_tokens, ended=finish == "stop")

    def generate_together(
        self, prompts: Sequence[Prompt], max_new_tokens: int, *, shared: SharedPrefix | None = None
    ) -> list[Generated]:
        """All in flight at once: the engine batches them as it likes. Raises as `generate`."""
        with ThreadPoolExecutor(max(1, len(prompts))) as pool:
            return list(pool.map(lambda prompt: self.generate(prompt, max_new_tokens), prompts))

    def _served(self, model: str | None) -> str:
        with _asking(self.upstream):
            names = [one.id for one in self._client.models.list()]
        if model is None and len(names) != 1:
            raise EngineError(f"{self.upstream} serves {', '.join(names) or 'no model'}: say which with upstream_model")
        if model is not None and model not in names:
            raise EngineError(f"{self.upstream} does not serve {model!r}, but {', '.join(names) or 'nothing'}")
        return model or names[0]


@contextmanager
def _asking(upstream: str) -> Iterator[None]:
    """What the client raises in the body becomes an `EngineError` of one line."""
    from openai import APIConnectionError, APIError, APIStatusError, APITimeoutError

    try:
        yield
    except APITimeoutError as error:
        raise EngineError(f"the engine at {upstream} did not answer in time") from error
    except APIConnectionError as error:
        raise EngineError(f"the engine at {upstream} was not reached: is it running, and ready?") from error
    except APIStatusError as error:
        reason = " ".join(str(error.message).split())
        hint = f"; start vLLM with {FLAG}" if "embed" in reason else ""
        raise EngineError(f"the engine at {upstream} refused ({error.status_code}): {reason}{hint}") from error
    except APIError as error:
        raise EngineError(f"the engine at {upstream} broke off: {' '.join(str(error).split())}") from error


def encoded_prompt(prompt: Prompt, dtype: torch.dtype | None = None) -> str:
    """The embeddings `[L, D]` of a prompt as vLLM takes them, in `dtype` where given. Raises as `sendable`."""
    return packed(sendable(prompt), dtype).decode("ascii")


def sendable(prompt: Prompt) -> Tensor:
    """The embeddings `[L, D]` of a prompt that is nothing beside them.

    Raises `ValueError` for positions other than 0..L-1 (M-RoPE) and for deepstack features, which do not travel with embeddings,
    and for embeddings that are no numbers.
    """
    if prompt.position_ids is not None or prompt.deepstack:
        raise ValueError(
            "this family has positions or features beside its embeddings (M-RoPE, deepstack), which prompt_embeds cannot carry: "
            "answer with the own engine"
        )
    return finite(prompt.embeddings[0].detach(), "an embedding of the prompt")


def packed(embeddings: Tensor, dtype: torch.dtype | None = None) -> bytes:
    """Base64 of what `torch.save` writes of embeddings `[L, D]`, in `dtype` where given."""
    buffer = io.BytesIO()
    torch.save(embeddings.to("cpu", dtype or embeddings.dtype).contiguous().clone(), buffer)
    return base64.b64encode(buffer.getbuffer())
