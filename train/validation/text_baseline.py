"""What words alone tell of a policy: TF-IDF and logistic regression, the baseline that a Semantic Router must beat (ours)."""

from dataclasses import dataclass

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from videorouter.shards.reader import ShardDataset
from videorouter.train.data.question_policy import questions_with_policy


@dataclass(frozen=True)
class TextBaseline:
    """Accuracy in 0..1 on `questions` questions of a split, after learning from `learned` others."""

    accuracy: float
    questions: int
    learned: int


def text_baseline(shards: str, train: str = "train", test: str = "test") -> TextBaseline:
    """Learn policies from the words and word pairs of one split's questions, and classify another's.

    Raises `ValueError` where a split has no question with a policy, or the first knows one policy only.
    """
    (texts, labels), (others, wanted) = _texts_and_policies(shards, train), _texts_and_policies(shards, test)
    classifier = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=10.0, max_iter=1000)
    )
    classifier.fit(texts, labels)
    return TextBaseline(float(classifier.score(others, wanted)), len(others), len(texts))


def _texts_and_policies(shards: str, split: str) -> tuple[list[str], list[str]]:
    found = questions_with_policy(ShardDataset(shards, split=split))
    if not found:
        raise ValueError(f"no question with a policy label in split {split!r} of {shards}")
    return [one.question for one in found], [one.policy for one in found]
