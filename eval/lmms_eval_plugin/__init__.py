"""`--model videorouter` of lmms-eval (extra `lmms-eval`): found through the entry point group `lmms_eval.models`."""

from typing import Any, Final

MODEL: Final = "videorouter"


def manifest() -> Any:
    """What lmms-eval is told about us, a `ModelManifest`; the model itself is imported when it is asked for."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return ModelManifest(model_id=MODEL, simple_class_path=f"{__name__}.model.VideoRouterModel")
