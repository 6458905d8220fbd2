"""What models cost, from the user's own table: prices change, so none are shipped as truth."""

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from videorouter.data_builders.teacher.usage import Usage


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
    """The price table; none without a file. Raises `ValueError` naming what is wrong in it."""
    if path is None:
        return {}
    try:
        return {str(model): Price.model_validate(price) for model, price in yaml.safe_load(path.read_text()).items()}
    except (OSError, yaml.YAMLError, AttributeError, ValidationError) as error:
        raise ValueError(f"{path} is no price table {{model: {{input, output, image}}}}: {error}") from error
