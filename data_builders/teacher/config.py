"""Where the teacher is, how it is asked, and what it costs."""

from dataclasses import dataclass
from pathlib import Path


@dataclass
class TeacherConfig:
    """Where the teacher is. Keys are read from the environment and from nowhere else, and written nowhere.

    Args:
        base_url: OpenAI-compatible endpoint, such as http://127.0.0.1:8000/v1; several with commas between them: a request
            goes to the least busy one that is there
        model: model name sent with every request
        key_variable: environment variable that holds the key; several with commas, one an endpoint
        concurrency: requests in flight at most, over all workers of this machine; fewer while the endpoint says 429
        timeout: seconds a request may take
        attempts: times a request is repeated after 5xx or a timeout before its item is put aside
        patience: seconds without any answer, the endpoints being away or busy, until the run stops
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
