"""LightningModules: losses and metrics around the models of `routers`, never model code."""

from train.modules.image_router import ImageRouterModule
from train.modules.joint import JointModule
from train.modules.semantic_router import SemanticRouterModule

__all__ = ["ImageRouterModule", "JointModule", "SemanticRouterModule"]
