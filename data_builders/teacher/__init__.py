"""The teacher: any OpenAI-compatible endpoint, asked for JSON of a schema, its every answer paid once and kept."""

from videorouter.data_builders.teacher.channel import Channel
from videorouter.data_builders.teacher.config import TeacherConfig
from videorouter.data_builders.teacher.errors import (
    BudgetSpent,
    TeacherFailure,
    TeacherRefusal,
    TeacherReplyError,
    TeacherStopped,
    TeacherUnavailable,
)
from videorouter.data_builders.teacher.journal import Journal
from videorouter.data_builders.teacher.request import DataUrl, Picture, data_url
from videorouter.data_builders.teacher.teacher import Teacher
from videorouter.data_builders.teacher.usage import Usage

__all__ = [
    "BudgetSpent",
    "Channel",
    "DataUrl",
    "Journal",
    "Picture",
    "Teacher",
    "TeacherConfig",
    "TeacherFailure",
    "TeacherRefusal",
    "TeacherReplyError",
    "TeacherStopped",
    "TeacherUnavailable",
    "Usage",
    "data_url",
]
