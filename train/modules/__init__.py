"""LightningModules: losses and metrics around the models of `routers`, never model code."""

from videorouter.train.modules.image_router import ImageRouterModule
from videorouter.train.modules.joint import JointModule
from videorouter.train.modules.semantic_router import SemanticRouterModule

__all__ = ["ImageRouterModule", "JointModule", "SemanticRouterModule"]
