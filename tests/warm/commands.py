"""What commands of this project are forked from, with the imports of all of them done."""

from functools import cache

from tests.warm.process import ROOT, WarmPython

IMPORTED = (
    "jsonargparse", "pytorch_lightning.cli", "tokenizers", "torch.distributed.launcher.api",
    "transformers.models.auto.processing_auto", "transformers.models.auto.tokenization_auto",
    "transformers.models.internvl.modeling_internvl", "transformers.models.qwen2.modeling_qwen2",
    "videorouter.data_builders.audit.page", "videorouter.data_builders.commands", "videorouter.eval.running.experiment",
    "videorouter.routers.answering.video_router", "videorouter.routers.backbones.internvl", "videorouter.train.cli",
    "videorouter.train.data", "videorouter.train.modules", "videorouter.train.preflight.check",
)  # fmt: skip
"""By one or the other of them."""


@cache
def warm_commands() -> WarmPython:
    """Their parent in this session of tests."""
    return WarmPython(IMPORTED, {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)})
