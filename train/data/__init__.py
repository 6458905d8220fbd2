"""LightningDataModules: from shards to what one training step reads."""

from train.data.answers import AnswerData
from train.data.frame_relevance import FrameRelevanceData
from train.data.question_policy import QuestionPolicyData

__all__ = ["AnswerData", "FrameRelevanceData", "QuestionPolicyData"]
