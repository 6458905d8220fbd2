"""Where the teacher is, how it is asked, and what its answers cost."""

from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError


@dataclass
class TeacherConfig:
    """Where the teacher is. Keys are read from the environment and from nowhere else, and written nowhere.

    Args:
        base_url: OpenAI-compatible endpoint, such as http://127.0.0.1:8000/v1; several with commas between them: a request
            goes to the least busy available one
        model: model name sent with every request
        key_variable: environment variable that holds the key; several with commas, one an endpoint
        concurrency: requests in flight at most, over all workers of this machine; fewer while the endpoint says 429
        timeout: seconds a request may take
        attempts: times a request is repeated after 5xx or a timeout before its item is put aside
        patience: seconds without any answer, the endpoints being unavailable or busy, until the run stops
        prices: YAML file {model: {input, output, image}}: dollars a million tokens, dollars an image; caps in dollars need it
    """

    base_url: str = "http://127.0.0.1:8000/v1"
    model: str = "teacher"
    key_variable: str = "OPENAI_API_KEY"
    concurrency: int = 8
    timeout: float = 120.0
    attempts: int = 5
    patience: float = 600.0
    prices: Path | None = None

    def __post_init__(self) -> None:
        """Raises `ValueError` for an endpoint that is not an address, and numbers that mean nothing."""
        for url in self.base_url.split(","):
            if not url.strip().startswith(("http://", "https://")):
                raise ValueError(
                    f"--teacher.base_url {url.strip()!r} is not an address: give one such as http://127.0.0.1:8000/v1"
                )
        for name, least in (("concurrency", 1), ("attempts", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"teacher.{name} is {getattr(self, name)}: give {least} or more")


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

    model_config = ConfigDict(extra="forbid")
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
