"""LightningDataModules: from shards to what one training step reads."""

from videorouter.train.data.answers import AnswerData
from videorouter.train.data.frame_relevance import FrameRelevanceData
from videorouter.train.data.question_policy import QuestionPolicyData

__all__ = ["AnswerData", "FrameRelevanceData", "QuestionPolicyData"]
