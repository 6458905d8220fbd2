"""An audit's page stands by itself, shows the labels drawn, and its verdicts count only for those labels."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.shards.samples import five, sample, write_dataset
from videorouter.data_builders.audit.agreement import agreement, print_agreement, wilson
from videorouter.data_builders.audit.page import write_audit
from videorouter.data_builders.audit.sample import draw
from videorouter.shards.catalogue import Catalogue
from videorouter.shards.errors import MissingShard
from videorouter.shards.sample import ShardSample
from videorouter.shards.schema import FrameRelevance, LabelledQuestion, PolicyLabel

HOSTILE = "Is <b>a</b> & $b </script><script>alert(1)</script>?"


class _Elements(HTMLParser):
    """Every element's attributes, and the text of scripts by id."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str | None]] = []
        self.scripts: dict[str, str] = {}
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs
        self._inside = f"script {dict(attrs).get('id', '')}" if tag == "script" else ""

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.scripts[self._inside] = self.scripts.get(self._inside, "") + data


def _relabelled(key: str, **changes: object) -> ShardSample:
    """A sample whose only question is changed."""
    made = sample(key)
    labelled = made.questions[0]
    question = labelled.question.model_copy(update={k: changes.pop(k) for k in ("question",) if k in changes})
    return ShardSample(key, made.video, [labelled.model_copy(update={"question": question, **changes})], made.jpegs)


def _page(out: Path) -> tuple[_Elements, dict]:
    elements = _Elements(out.read_text(encoding="utf-8"))
    return elements, json.loads(elements.scripts["script about"])


def _judged(folder: Path, tmp_path: Path, *given: str | None) -> Path:
    """A file as the page downloads it, with verdicts for its labels in order."""
    write_audit(folder, len(given), 0, tmp_path / "page.html")
    _, about = _page(tmp_path / "page.html")
    verdicts = {item["id"]: verdict for item, verdict in zip(about["items"], given, strict=True)}
    kept = {name: about[name] for name in ("format", "fingerprint", "labels", "dataset", "seed")}
    path = tmp_path / "verdicts.json"
    path.write_text(json.dumps(kept | {"verdicts": verdicts}))
    return path


def test_a_page_needs_nothing_but_itself(tmp_path: Path) -> None:
    assert write_audit(five(tmp_path / "data"), 100, 0, tmp_path / "pages" / "audit.html") == 5
    elements, about = _page(tmp_path / "pages" / "audit.html")
    assert not [value for name, value in elements.attributes if name in {"src", "href", "action", "srcset"}]
    assert not re.search(r"https?:|url\(|@import|\bfetch\(", (tmp_path / "pages" / "audit.html").read_text())
    for item in about["items"]:
        video = json.loads(elements.scripts[f"script video-{item['video']}"])
        assert len(video["frames"]) == len(video["seconds"]) == len(item["relevance"]["relevant"])
        assert all(frame.startswith("data:image/jpeg;base64,/9j/") for frame in video["frames"])
        assert video["uri"] == f"{item['id'].partition('/')[0]}.mp4"


def test_what_people_wrote_cannot_leave_its_place(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data", {"train-0": [_relabelled("a", question=HOSTILE, reason=HOSTILE)]})
    write_audit(folder, 5, 0, tmp_path / "audit.html")
    elements, about = _page(tmp_path / "audit.html")
    assert set(elements.scripts) == {"script about", "script video-0", "script "}
    assert about["items"][0]["question"] == about["items"][0]["reason"] == HOSTILE
    assert "alert" not in elements.scripts["script "]
    assert "innerHTML" not in elements.scripts["script "]


def test_policies_are_shown_with_what_decided_them(tmp_path: Path) -> None:
    policy = PolicyLabel(policy="fragment", category="detail", margin=0.25, support=40)
    folder = write_dataset(tmp_path / "data", {"train-0": [_relabelled("a", policy=policy, relevance=None)]})
    write_audit(folder, 5, 0, tmp_path / "audit.html")
    _, about = _page(tmp_path / "audit.html")
    assert about["items"][0]["kind"] == "policy"
    assert about["items"][0]["policy"] == policy.model_dump()
    assert agreement(_judged(folder, tmp_path, "agree"), folder).kind == "policy"


def test_the_sample_is_spread_over_videos_and_told_by_its_seed(tmp_path: Path) -> None:
    videos = [sample(key, questions=20) for key in "abcde"]
    catalogue = Catalogue(write_dataset(tmp_path / "data", {"train-0": videos[:3], "val-0": videos[3:]}))
    drawn = [item.id for item in draw(catalogue, 12, seed=1)]
    assert len(set(drawn)) == 12
    assert sorted(sum(name.startswith(f"{key}/") for name in drawn) for key in "abcde") == [2, 2, 2, 3, 3]
    assert [item.id for item in draw(catalogue, 12, seed=1)] == drawn
    assert [item.id for item in draw(catalogue, 12, seed=2)] != drawn
    assert len(draw(catalogue, 500, seed=1)) == 100


def test_large_frames_are_shrunk_and_small_ones_kept(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data", {"train-0": [sample("a", frames=1, side=16), sample("b", 1, side=600)]})
    write_audit(folder, 2, 0, tmp_path / "audit.html")
    assert (tmp_path / "audit.html").stat().st_size < 200_000


def test_verdicts_are_counted_with_their_interval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = five(tmp_path / "data")
    found = agreement(_judged(folder, tmp_path, "agree", "agree", "disagree", "skip", None), folder)
    assert (found.kind, found.agree, found.disagree, found.skipped, found.unanswered) == ("relevance", 2, 1, 1, 1)
    assert found.rate == pytest.approx(2 / 3)
    assert found.interval == pytest.approx((0.2077, 0.9385), abs=1e-4)
    assert wilson(0, 0) == (0, 1)
    print_agreement(found)
    printed = capsys.readouterr().out
    assert all(text in printed for text in ("66.7 %", "88.4 %", "94.0 %"))


def test_verdicts_about_other_labels_are_refused(tmp_path: Path) -> None:
    folder = five(tmp_path / "data")
    path = _judged(folder, tmp_path, "agree")
    judged = json.loads(path.read_text())
    for change, message in (
        ({"fingerprint": "other"}, "another data set"),
        ({"verdicts": {"z/z-q0": "agree"}}, "does not hold, as z/z-q0"),
        ({"labels": "other"}, "not those"),
        ({"verdicts": {"a/a-q0": "maybe"}}, "'maybe'"),
        ({"verdicts": []}, "no `verdicts`"),
        ({"format": "else"}, "not a file of verdicts"),
    ):
        path.write_text(json.dumps(judged | change))
        with pytest.raises(ValueError, match=message):
            agreement(path, folder)
    path.write_text("{")
    with pytest.raises(ValueError, match="not JSON"):
        agreement(path, folder)
    with pytest.raises(ValueError, match="no verdicts at"):
        agreement(tmp_path / "none.json", folder)


def test_labels_made_anew_need_a_new_audit(tmp_path: Path) -> None:
    path = _judged(write_dataset(tmp_path / "old", {"train-0": [sample("a")]}), tmp_path, "agree")
    relevance = FrameRelevance(relevant=[True, False, True, True])
    new = write_dataset(tmp_path / "new", {"train-0": [_relabelled("a", relevance=relevance)]})
    with pytest.raises(ValueError, match="audit it again"):
        agreement(path, new)


def test_what_cannot_be_audited_is_said(tmp_path: Path) -> None:
    bare = write_dataset(tmp_path / "bare", {"train-0": [_relabelled("a", relevance=None)]})
    with pytest.raises(ValueError, match="nothing to audit"):
        write_audit(bare, 5, 0, tmp_path / "audit.html")
    with pytest.raises(ValueError, match="at least 1"):
        write_audit(five(tmp_path / "data"), 0, 0, tmp_path / "audit.html")
    unfinished = write_dataset(tmp_path / "unfinished", {"train-0": [sample("a")]}, finished=False)
    with pytest.raises(MissingShard, match="did not finish"):
        write_audit(unfinished, 5, 0, tmp_path / "audit.html")


def test_labels_written_before_reasons_still_read() -> None:
    labelled = sample("a").questions[0]
    older = json.loads(labelled.model_dump_json())
    del older["reason"]
    assert LabelledQuestion.model_validate(older) == labelled
