"""What words alone tell of a policy: TF-IDF and logistic regression, the floor that a Semantic Router must be seen above (ours)."""

from collections.abc import Sequence
from dataclasses import dataclass

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from shards import ShardDataset


@dataclass(frozen=True)
class Floor:
    """Accuracy in 0..1 on `questions` questions of a split, after learning from `learned` others."""

    accuracy: float
    questions: int
    learned: int


def text_floor(shards: str, train: str = "train", test: str = "test") -> Floor:
    """Learn policies from the words and word pairs of one split's questions, and classify another's.

    Raises `ValueError` where a split has no question with a policy, or the first knows one policy only.
    """
    (texts, labels), (others, wanted) = questions_with_policy(shards, train), questions_with_policy(shards, test)
    classifier = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=10.0, max_iter=1000)
    )
    classifier.fit(texts, labels)
    return Floor(float(classifier.score(others, wanted)), len(others), len(texts))


def questions_with_policy(shards: str, split: str) -> tuple[Sequence[str], Sequence[str]]:
    """Texts and policies. Raises `ValueError` where there are none."""
    data = ShardDataset(shards, split=split)
    found = [
        (labelled.question.question, labelled.policy.policy)
        for index in range(len(data))
        for labelled in data.labels(index)
        if labelled.policy is not None
    ]
    if not found:
        raise ValueError(f"no question with a policy label in split {split!r} of {shards}")
    texts, labels = zip(*found, strict=True)
    return texts, labels
