"""Where the teacher is, how it is asked, and what its answers cost."""

from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from videorouter.data_builders.bounds import ANY, check_above_zero, check_bounds
from videorouter.data_builders.teacher.addresses import shown
from videorouter.data_builders.teacher.parameters import Parameters

OURS = ("messages", "stream")
"""What `extra_body` may not hold."""


@dataclass
class TeacherConfig:
    """Where the teacher is. Keys are read from the environment and from nowhere else, and written nowhere.

    Args:
        base_url: OpenAI-compatible endpoint, such as http://127.0.0.1:8000/v1; several with commas between them: a request
            goes to the least busy available one
        model: model name sent with every request
        key_variable: environment variable that holds the key; several with commas, one an endpoint
        concurrency: requests in flight at most, over all workers of this machine; fewer while the endpoint says 429
        timeout: seconds a request may take, from its start to the last byte of the answer
        attempts: times a request is repeated after 5xx or a timeout before its item is put aside
        wait: seconds that an endpoint which has not answered yet may refuse connections: it may be loading its model
        patience: seconds without any answer, the endpoints being unavailable or busy, until the run stops
        prices: YAML file {model: {input, output, image}}: dollars a million tokens, dollars an image; caps in dollars need it
        max_tokens: limit of every reply, thoughts included; null takes one that is ample for its kind
        max_tokens_name: under which it is sent; newer models of OpenAI want max_completion_tokens
        temperature: of every request; null sends none, as models that reason demand
        extra_body: JSON object merged into the body of every request, such as {"chat_template_kwargs": {"enable_thinking":
            false}}; null takes a field out of it
        headers: JSON object of further headers; $NAME in a value is read from the environment
        query: JSON object of query parameters, such as {"api-version": "2024-10-21"}; $NAME as in headers
    """

    base_url: str = "http://127.0.0.1:8000/v1"
    model: str = "teacher"
    key_variable: str = "OPENAI_API_KEY"
    concurrency: int = 8
    timeout: float = 120.0
    attempts: int = 5
    wait: float = 60.0
    patience: float = 600.0
    prices: Path | None = None
    max_tokens: int | None = None
    max_tokens_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    temperature: float | None = 0.0
    extra_body: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises `ValueError` for an endpoint that is not an address, and options that mean nothing."""
        for url in self.base_url.split(","):
            if not url.strip().startswith(("http://", "https://")):
                raise ValueError(
                    f"--teacher.base_url {shown(url)!r} is not an address: give one such as http://127.0.0.1:8000/v1"
                )
        least = {"concurrency": 1, "attempts": 0, "wait": 0, "patience": 0, "max_tokens": 1, "temperature": 0}
        check_bounds(self, {name: (number, ANY) for name, number in least.items()}, "teacher.")
        check_above_zero(self, "timeout", prefix="teacher.")
        if ours := [name for name in OURS if name in self.extra_body]:
            raise ValueError(
                f"teacher.extra_body holds {' and '.join(ours)}: these are the builder's own, leave them out"
            )

    @property
    def parameters(self) -> Parameters:
        """What is sent with every request."""
        return Parameters(self.max_tokens, self.temperature, self.extra_body, self.max_tokens_name)


@dataclass(frozen=True)
class Usage:
    """What some answers cost; `estimated` of the requests came without token counts and were estimated from their length."""

    requests: int = 0
    images: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    estimated: int = 0

    def __add__(self, other: Self) -> "Usage":
        return Usage(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))

    def __neg__(self) -> "Usage":
        return Usage(*(-mine for mine in astuple(self)))

    def __str__(self) -> str:
        guessed = f" ({self.estimated} requests estimated)" if self.estimated else ""
        return (
            f"{self.requests} requests, {self.images} images, "
            f"{self.tokens_in} tokens in, {self.tokens_out} tokens out{guessed}"
        )


class Price(BaseModel):
    """Dollars a million tokens (`input`, `output`) and an image."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    input: float = Field(ge=0)
    output: float = Field(ge=0)
    image: float = Field(ge=0, default=0.0)

    def usd(self, usage: Usage) -> float:
        """What `usage` costs in dollars."""
        return (self.input * usage.tokens_in + self.output * usage.tokens_out) / 1e6 + self.image * usage.images


def read_prices(path: Path | None) -> dict[str, Price]:
    """The user's own price table, as prices change; empty without a file. Raises `ValueError` naming what is wrong in it."""
    if path is None:
        return {}
    try:
        return {str(model): Price.model_validate(price) for model, price in yaml.safe_load(path.read_text()).items()}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError, ValidationError) as error:
        raise ValueError(
            f"{path} is not a price table {{model: {{input, output, image}}}}: {' '.join(str(error).split())}"
        ) from error
