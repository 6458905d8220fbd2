"""A stage whose validations score what a test says, by the step they come after."""

import json
import os
from pathlib import Path
from typing import Any

from videorouter.train.modules import SemanticRouterModule

METRIC = "val/semantic_accuracy"


class Scored(SemanticRouterModule):
    """`SCORES` maps steps to `METRIC`; a validation after step `KILLED_AT` ends as by a kill. Steps go to `VALIDATED`."""

    def on_validation_epoch_end(self) -> None:
        if str(self.global_step) == os.environ.get("KILLED_AT"):
            raise SystemExit(9)
        with Path(os.environ["VALIDATED"]).open("a") as file:
            file.write(f"{self.global_step}\n")
        super().on_validation_epoch_end()

    def measured(self, name: str, value: Any, **options: Any) -> None:
        if name == METRIC:
            value = json.loads(os.environ["SCORES"])[str(self.global_step)]
        super().measured(name, value, **options)
