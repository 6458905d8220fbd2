"""Generated questions have the evidence that the world's scenes give them; captions that lie are caught by the filters."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from rich.console import Console

from videorouter.data_builders.building.plan import VideoJob, sample_key
from videorouter.data_builders.flr.filters import (
    GENERATED,
    Candidate,
    caption_lines,
    coherence,
    filter_yields,
    necessity,
    yield_notes,
    yield_table,
)
from videorouter.data_builders.flr.generate import GenerateConfig, QuestionGenerator, candidates
from videorouter.data_builders.rejects import QUARANTINE, Filtered, Reject, write_rejects
from videorouter.data_builders.teacher.config import TeacherConfig
from videorouter.data_builders.teacher.replies import FrameCaptions, ProposedQuestion
from videorouter.data_builders.teacher.teacher import Teacher
from videorouter.data_builders.videos import FrameConfig, PreparedVideo, VideoFolder
from videorouter.miniature.__main__ import main as miniature
from videorouter.miniature.study.generation_quality import (
    ACCEPTED,
    GenerationQuality,
    accepted,
    measure_generated,
    put_aside,
    read_scenes,
)
from videorouter.miniature.teacher.captions import caption
from videorouter.miniature.teacher.faults import MISREADINGS, Misreadings
from videorouter.miniature.teacher.perception import Perceived
from videorouter.miniature.world.build import build_world
from videorouter.miniature.world.frame import GLYPHS, PLACE_NAMES
from videorouter.shards.sample import ShardSample
from videorouter.shards.schema import LabelledQuestion, VideoQuestion
from videorouter.shards.sidecar import write_manifest
from videorouter.shards.writer import shard_path, write_shard

BAD_CAPTIONS = 0.6


@dataclass(frozen=True)
class Prepared:
    """The world's videos, decoded once for all builds."""

    world: Path
    videos: VideoFolder
    jobs: list[tuple[VideoJob, PreparedVideo]]


@dataclass(frozen=True)
class Built:
    """What came of them."""

    samples: list[ShardSample]
    rejects: list[Reject]

    @property
    def labelled(self) -> list[LabelledQuestion]:
        return [question for sample in self.samples for question in sample.questions]


@contextmanager
def preparing(world: Path, seed: int) -> Iterator[Prepared]:
    """Videos of long scenes, so that evidence is many frames and captions can contradict each other."""
    build_world(world, videos=6, seconds=20, seed=seed, scenes=(24, 28), questions_per_video=1, workers=1)
    videos = VideoFolder(FrameConfig(world, frames=64, frame_size=112, quality=98))
    names = [f"videos/{path.name}" for path in sorted((world / "videos").iterdir())]
    jobs = [VideoJob(sample_key(name), name, ()) for name in names]
    yield Prepared(world, videos, [(job, videos.prepare(job.video)) for job in jobs])
    videos.close()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    with preparing(tmp_path_factory.mktemp("generated") / "world", seed=7) as made:
        yield made


@pytest.fixture(scope="module")
def faithful(prepared: Prepared, teacher: str) -> Built:
    return generate(prepared, teacher, videos=4)


@pytest.fixture(scope="module")
def misread(prepared: Prepared, start_teacher: Callable[..., object]) -> Built:
    with start_teacher("--bad-captions", str(BAD_CAPTIONS)) as url:  # type: ignore[attr-defined]
        return generate(prepared, url, questions=16)


def generate(prepared: Prepared, url: str, questions: int = 10, videos: int = 6) -> Built:
    asked = Teacher(TeacherConfig(base_url=url, model="miniature-teacher"))
    generator = QuestionGenerator(prepared.videos, asked, GenerateConfig(questions, window=32))

    async def run() -> Built:
        samples, rejects = [], []
        for job, video in prepared.jobs[:videos]:
            labelled, rejected = await generator.label(video, job)
            samples.append(ShardSample(job.key, video.record, labelled, video.jpegs))
            rejects += rejected
        return Built(samples, rejects)

    return asyncio.run(run())


def measured(prepared: Prepared, built: Built, share: float = 0.0) -> GenerationQuality:
    written = [*map(accepted, built.labelled), *put_aside(built.rejects, 64)]
    return measure_generated(read_scenes(prepared.world), written, Misreadings(share))


def test_evidence_of_generated_questions_equals_the_truth(prepared: Prepared, faithful: Built) -> None:
    quality = measured(prepared, faithful)
    assert quality.accepted >= 0.9 * 4 * 10
    assert min(quality.precision or 0, quality.recall or 0) >= 0.97
    assert quality.exact == quality.right == 1.0
    assert quality.caught == {}


def test_captions_that_lie_are_caught_by_the_filters(prepared: Prepared, misread: Built) -> None:
    quality = measured(prepared, misread, BAD_CAPTIONS)
    bad = sum(sum(fates.values()) for fates in quality.caught.values())
    missed = sum(fates.get(ACCEPTED, 0) for fates in quality.caught.values())
    print(f"{bad} bad questions, {missed} of them accepted; by what was misread: {quality.caught}")
    assert bad >= 20
    assert missed <= 0.03 * bad
    assert set(quality.caught) >= set(MISREADINGS)
    assert {fate for fates in quality.caught.values() for fate in fates} >= {"consistency", "necessity"}
    assert min(quality.precision or 0, quality.recall or 0) >= 0.97


@pytest.mark.slow
def test_filters_put_few_good_questions_aside(tmp_path: Path, start_teacher: Callable[..., object]) -> None:
    """Over eight worlds: one's fifty-odd questions cannot tell 3 in 100 from 9."""
    aside = kept = 0
    with start_teacher("--bad-captions", str(BAD_CAPTIONS)) as url:  # type: ignore[attr-defined]
        for seed in range(7, 15):
            with preparing(tmp_path / str(seed), seed) as made:
                quality = measured(made, generate(made, url, questions=16), BAD_CAPTIONS)
            print(f"world {seed}: {quality.good_put_aside} good questions put aside, {quality.accepted} accepted")
            aside, kept = aside + quality.good_put_aside, kept + quality.accepted
    assert aside <= 0.05 * kept


def test_descriptions_that_contradict_each_other_are_not_coherent(prepared: Prepared, teacher: str) -> None:
    seen = Perceived("navy", ("red", "circle"), dict(zip(PLACE_NAMES, GLYPHS, strict=False)))
    other = Perceived("navy", ("red", "circle"), dict(zip(PLACE_NAMES, reversed(GLYPHS), strict=False)))
    captions = [caption(seen), caption(other), caption(seen)]
    text = f"Which symbol is at the {PLACE_NAMES[0]} when the red circle is shown?"
    question = VideoQuestion(id="g", video="v", question=text, answer=GLYPHS[0], task_type="glyph", source="generated")

    def check(*evidence: int) -> None:
        asked = Teacher(TeacherConfig(base_url=teacher, model="miniature-teacher"))
        candidate = Candidate(question, evidence, "", proposal())
        asyncio.run(coherence(asked, prepared.jobs[0][1], captions, candidate))

    check(0, 2)
    with pytest.raises(Filtered, match="do not fit") as caught:
        check(0, 1, 2)
    assert caught.value.by == "coherence"


def test_yields_add_up_and_are_printed_in_the_filters_order(misread: Built) -> None:
    yields = filter_yields(misread.rejects, len(misread.labelled))
    assert [row.filter for row in yields] == ["proposal", "coherence", "consistency", "necessity"] == list(GENERATED)
    assert yields[0].entered == 6 * 16
    assert all(row.passed == following.entered for row, following in pairwise(yields))
    assert yields[-1].passed == len(misread.labelled)
    console = Console(record=True, width=100)
    console.print(yield_table(yields))
    assert str(yields[2].put_aside) in console.export_text()
    assert yield_notes(yields)["filters"][3]["filter"] == "necessity"


def test_no_yield_is_made_up_where_nothing_was_written() -> None:
    assert [row.share for row in filter_yields([Reject("v", "video", "missing", "")], 0)] == [None] * 4


def test_the_same_answers_give_the_same_labels_in_the_same_order(
    prepared: Prepared, teacher: str, faithful: Built
) -> None:
    again = generate(prepared, teacher, videos=2)
    assert again.samples == faithful.samples[:2]
    key = prepared.jobs[0][0].key
    names = [question.question.id for question in again.samples[0].questions]
    assert names == sorted(names, key=lambda name: int(name.removeprefix(f"{key}-g")))


def test_generated_questions_say_where_they_come_from(faithful: Built) -> None:
    labelled = faithful.labelled[0]
    assert (labelled.origin, labelled.question.source, labelled.teacher) == (
        "teacher", "generated", "miniature-teacher",
    )  # fmt: skip
    assert labelled.question.split == "train"
    assert labelled.reason


def test_what_a_filter_put_aside_can_be_read_again(misread: Built) -> None:
    filtered = [reject for reject in misread.rejects if reject.stage == "filter"]
    assert all(ProposedQuestion.model_validate_json(reject.raw or "").evidence for reject in filtered)


def proposal(**changed: object) -> ProposedQuestion:
    right = {
        "question": "Who wins?",
        "options": ["red", "blue"],
        "answer": "red",
        "evidence": [3, 2],
        "task_type": "who",
    }
    return ProposedQuestion.model_validate({**right, "reason": "seen", **changed})


def test_wrong_proposals_are_put_aside_one_by_one() -> None:
    proposals = [
        proposal(),
        proposal(evidence=[0, 4]),
        proposal(evidence=[]),
        proposal(answer="green"),
        proposal(options=["red", "Red"]),
        proposal(question=" "),
        proposal(question="who  wins?", options=["blue", "red"]),
        proposal(question="Who loses?", options=[], answer="the one in green"),
    ]
    found, rejects = candidates("v", proposals, 4, {"video": "v.mp4"})
    assert [candidate.question.id for candidate in found] == ["v-g0", "v-g7"]
    assert found[0].relevant(4) == [False, True, True, False]
    assert found[1].question.options is None
    assert {(reject.stage, reject.verdict) for reject in rejects} == {("filter", "proposal")}
    reasons = [reject.reason for reject in rejects]
    said = ["[0]", "none", "'green' is not among", "no choice", "empty", "the same as v-g0"]
    assert all(part in reason for part, reason in zip(said, reasons, strict=True))


def test_captions_are_needed_for_every_frame() -> None:
    reply = FrameCaptions.model_validate({"captions": [{"frame": 2, "caption": "b\nc"}, {"frame": 1, "caption": "a"}]})
    assert reply.in_order(2) == ["a", "b c"]
    assert caption_lines(["a", "b c"], [1]) == "Frame-2: b c"
    with pytest.raises(ValueError, match="1 to 3 exactly once"):
        reply.in_order(3)


def test_a_video_whose_captions_can_not_be_had_is_put_aside(
    prepared: Prepared, start_teacher: Callable[..., object]
) -> None:
    with start_teacher("--malformed", "1.0") as url:  # type: ignore[attr-defined]
        built = generate(prepared, url, videos=1)
    assert built.labelled == []
    assert [(reject.item, reject.verdict) for reject in built.rejects] == [(prepared.jobs[0][0].video, "invalid_reply")]


def test_nothing_is_asked_where_masking_leaves_no_frame(prepared: Prepared) -> None:
    nobody = Teacher(TeacherConfig(base_url="http://127.0.0.1:9/v1", attempts=0))
    question = VideoQuestion(
        id="g", video="v", question="How often?", answer="2", task_type="count", source="generated"
    )
    everything = Candidate(question, tuple(range(64)), "", proposal())
    asyncio.run(necessity(nobody, prepared.jobs[0][1], [""] * 64, everything))
    assert nobody.usage.requests == 0


def test_shards_and_quarantine_can_be_checked_against_the_scenes(
    prepared: Prepared, misread: Built, tmp_path: Path
) -> None:
    path = shard_path(tmp_path, "train", 0)
    write_shard(path, misread.samples, "fingerprint")
    write_manifest(tmp_path, shards=[path.name], fingerprint="fingerprint", config={}, licences=["unstated"])
    write_rejects(tmp_path / QUARANTINE, misread.rejects)
    arguments = ["check-generated", "--world", str(prepared.world), "--shards", str(tmp_path)]
    assert (
        miniature([*arguments, "--bad-captions", str(BAD_CAPTIONS), "--json-out", str(tmp_path / "figures.json")]) == 0
    )
    quality = measured(prepared, misread, BAD_CAPTIONS)
    assert json.loads((tmp_path / "figures.json").read_text())["caught"] == quality.caught
