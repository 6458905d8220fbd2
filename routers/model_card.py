"""The README.md of an exported router folder."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from videorouter.routers.checkpoint import RouterConfig


def model_card(
    config: "RouterConfig", metrics: Mapping[str, float] | None = None, data: Sequence[Mapping[str, Any]] = ()
) -> str:
    """Markdown with Hub front matter.

    `metrics` are those measured when the exported checkpoints were saved, `data` the folders, fingerprints and licences of
    what was learned from.
    """
    rows = "\n".join(f"| {name} | {value:.4f} |" for name, value in sorted((metrics or {}).items()))
    table = f"| metric | value |\n|---|---|\n{rows}" if rows else "No metrics were recorded with these weights."
    origins = "\n".join(
        f"* fingerprint `{one['fingerprint']}`; licences of its questions: {', '.join(one['licences']) or 'none stated'}"
        for one in data
    )
    scales = config.scales
    return f"""---
license: apache-2.0
library_name: videorouter
pipeline_tag: video-text-to-text
---
# VideoRouter heads

Semantic Router and Image Router (arXiv 2605.05848) for one frozen base model. The folder holds the trained heads only;
the first {config.shadow_layers} decoder layers they read are the base's.

* base model weights: sha256 `{config.base.sha256}`{f", revision `{config.base.revision}`" if config.base.revision else ""}
* scales (global; relevant, irrelevant): ({scales.global_scale}; {scales.relevant_scale}, {scales.irrelevant_scale})
* {config.frames} frames a video ({config.sampler}), budget {config.budget} visual tokens, relevance threshold {config.threshold}

```python
from videorouter import VideoRouter

router = VideoRouter.from_pretrained("path/to/this/folder")
print(router.answer("video.mp4", "What happens after the red car stops?").text)
```

## Validation at the exported step

{table}

## Trained on

{origins or "Not recorded."}

The settings of each training are in `training-*.yaml`.
"""
