"""As `sitecustomize` of an environment: declares torchvision's operators, without code, before torchvision is imported.

The compiled part of PyPI's torchvision does not load beside a CPU build of torch; who imports it there uses nothing of it.
"""

import sys
from importlib.abc import MetaPathFinder

BOXES = "Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width"
OPERATORS = {
    "nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "roi_align": f"({BOXES}, int sampling_ratio, bool aligned) -> Tensor",
    "roi_pool": f"({BOXES}) -> (Tensor, Tensor)",
    "ps_roi_align": f"({BOXES}, int sampling_ratio) -> (Tensor, Tensor)",
    "ps_roi_pool": f"({BOXES}) -> (Tensor, Tensor)",
    "deform_conv2d": "(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, SymInt stride_h, SymInt stride_w, "
    "SymInt pad_h, SymInt pad_w, SymInt dilation_h, SymInt dilation_w, SymInt groups, SymInt offset_groups, bool use_mask) "
    "-> Tensor",
}


class Declaring(MetaPathFinder):
    """Finds nothing; where torchvision is looked for, its operators are declared first."""

    def find_spec(self, name, path=None, target=None):
        if name == "torchvision":
            sys.meta_path.remove(self)
            import torch

            for operator, schema in OPERATORS.items():
                torch.library.define(f"torchvision::{operator}", schema)
                torch.library.define(f"torchvision::_{operator}_backward", "(Tensor gradient) -> Tensor")
        return None


sys.meta_path.insert(0, Declaring())
