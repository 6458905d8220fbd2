"""Who writes the index of questions: the first job that needs it, while the others wait."""

import hashlib
import json
from pathlib import Path
from typing import Final

from videorouter import __version__
from videorouter.data_builders.building.config import BuildConfig
from videorouter.data_builders.building.question_index import INDEX, QuestionIndex, open_index
from videorouter.data_builders.building.question_sorter import write_index
from videorouter.data_builders.building.turns import turn
from videorouter.data_builders.sources.conversion import SOURCES

INDEX_LOCK: Final = ".questions.lock"


def index_questions(config: BuildConfig) -> QuestionIndex:
    """The index of what `config` names, written where there is none of the same inputs.

    Raises `ValueError` as `questions_to_label` and `decontaminate`, and where a video is in two splits.
    """
    path, made_from = config.out / INDEX, _inputs(config)
    found = open_index(path, made_from)
    if found is None:
        with turn(config.out / INDEX_LOCK, f"indexing the questions of {config.questions}"):
            if open_index(path, made_from) is None:
                write_index(path, made_from, config)
            found = open_index(path, made_from)
    assert found is not None
    return found


def _inputs(config: BuildConfig) -> str:
    """A hash of all that decides what an index holds: this version, the options, and the contents of files.

    Raises `ValueError` for an unknown source or a missing file of questions.
    """
    source = SOURCES.named(config.source)
    if not config.questions.is_file():
        raise ValueError(f"no annotation file at {config.questions}")
    files = [config.questions, *source.beside(config.questions), *([config.exclude] if config.exclude else [])]
    options = [__version__, config.source, config.videos_per_shard, config.near_duplicates, config.questions.name]
    return hashlib.sha256(json.dumps([*options, *map(_content, files)]).encode()).hexdigest()


def _content(path: Path) -> str | None:
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
