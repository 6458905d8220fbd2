"""Policies are decided by what each lets a model answer at equal tokens, and every question left out is named."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from videorouter.data_builders.building.plan import VideoJob
from videorouter.data_builders.flr.annotate import ScoringConfig, TeacherLabeller
from videorouter.data_builders.qtr.frame_source import FrameSource
from videorouter.data_builders.qtr.labeller import PolicyLabeller
from videorouter.data_builders.qtr.outcomes import PROBES, PolicyConfig, Probing, outcome_notes, outcomes, print_probing
from videorouter.data_builders.qtr.probe import ProbeConfig, Probed
from videorouter.data_builders.qtr.probe_record import UNFINISHED, ProbeLog
from videorouter.data_builders.qtr.probing import categorise, run_probing, to_probe
from videorouter.data_builders.sources.conversion import read_questions
from videorouter.data_builders.teacher.answering import is_right
from videorouter.data_builders.teacher.concurrency import map_concurrently
from videorouter.data_builders.teacher.config import TeacherConfig
from videorouter.data_builders.teacher.replies import Category, QuestionCategory, VideoAnswer
from videorouter.data_builders.teacher.teacher import Teacher
from videorouter.data_builders.videos import FrameConfig, VideoFolder
from videorouter.miniature.bases import ROBUST
from videorouter.shards.policy import Policy
from videorouter.shards.schema import LabelledQuestion, VideoQuestion

MINIATURE = ProbeConfig(tokens_per_frame=16)
Decided = tuple[dict[str, QuestionCategory], Probing, list[Any]]


@pytest.fixture(scope="module")
def questions(world: Path) -> list[VideoQuestion]:
    return read_questions(world / "questions.jsonl", "questions_jsonl")[0]


@pytest.fixture(scope="module")
def truth(world: Path) -> dict[str, Policy]:
    rows = map(json.loads, (world / "truth.jsonl").read_text().splitlines())
    return {row["id"]: row["policy"] for row in rows}


@pytest.fixture(scope="module")
def videos(world: Path) -> Iterator[VideoFolder]:
    folder = VideoFolder(FrameConfig(videos=world, frame_size=112, quality=98))
    yield folder
    folder.close()


def probe_all(
    questions: list[VideoQuestion],
    videos: VideoFolder,
    url: str,
    out: Path,
    config: ProbeConfig = MINIATURE,
    policies: PolicyConfig | None = None,
) -> tuple[Decided, Teacher]:
    """What is decided about questions without earlier labels, and the teacher that was asked."""

    async def run() -> tuple[Decided, Teacher]:
        teacher = Teacher(TeacherConfig(base_url=url, model="miniature-teacher"))
        frames = FrameSource(videos, TeacherLabeller(videos, teacher, ScoringConfig()), None)
        return await run_probing(questions, frames, teacher, config, out, policies or PolicyConfig()), teacher

    return asyncio.run(run())


@pytest.fixture(scope="module")
def each(
    questions: list[VideoQuestion], videos: VideoFolder, teacher: str, tmp_path_factory: pytest.TempPathFactory
) -> Decided:
    """Everything is probed, in every split, for labels a question."""
    out = tmp_path_factory.mktemp("each")
    return probe_all(questions, videos, teacher, out, policies=PolicyConfig(labels="question"))[0]


def label(
    questions: list[VideoQuestion], videos: VideoFolder, decided: Decided, config: PolicyConfig
) -> tuple[list[LabelledQuestion], dict[str, tuple[str, str]]]:
    """Labelled questions, and (stage, verdict) of those put aside by id."""
    frames = FrameSource(videos, None, None)
    teacher = Teacher(TeacherConfig(model="miniature-teacher"))
    labeller = PolicyLabeller(frames, teacher, decided[0], decided[1], config)
    job = VideoJob("key", questions[0].video, tuple(questions))
    labelled, rejects = asyncio.run(labeller.label(labeller.prepare(job), job))
    return labelled, {reject.item: (reject.stage, reject.verdict) for reject in rejects}


def asked(number: int, **given: Any) -> VideoQuestion:
    values = {"id": f"q{number}", "video": "v", "question": "Which?", "answer": "star", "task_type": "t", "source": "s"}
    return VideoQuestion.model_validate(values | given)


def probed(number: int, on_global: bool, on_fragment: bool) -> Probed:
    solved: dict[Policy, bool] = {"global": on_global, "fragment": on_fragment}
    return Probed(f"q{number}", solved, {"global": 512, "fragment": 300}, {"global": "x", "fragment": "y"})


def found(solved: list[tuple[bool, bool]]) -> Decided:
    """Questions q0, q1, ... of one category, solved as told under (global, fragment); one more that was not probed."""
    probes = [probed(number, *pair) for number, pair in enumerate(solved)]
    categories = {f"q{n}": QuestionCategory(category=Category.ACTION, reason="") for n in range(len(solved) + 1)}
    return categories, Probing("nobody", {p.question: p for p in probes}, [], outcomes(probes, categories)), []


# Judging.


def judge(url: str, answer: str, known: str, options: list[str] | None = None, answerable: bool = True) -> Any:
    """Whether the answer is right, and how many requests that took."""

    async def run() -> tuple[bool, int]:
        teacher = Teacher(TeacherConfig(base_url=url, model="miniature-teacher"))
        reply = VideoAnswer(answerable=answerable, answer=answer, reason="")
        return await is_right(teacher, asked(0, answer=known, options=options), reply), teacher.usage.requests

    return asyncio.run(run())


def test_an_answer_that_chooses_an_option_is_judged_by_it_alone(teacher: str) -> None:
    options = ["a red star", "a blue star"]
    assert judge(teacher, "The answer is (B).", "a blue star", options) == (True, 0)
    assert judge(teacher, "a red star", "a blue star", options) == (False, 0)


def test_open_answers_are_compared_before_the_teacher_is_asked(teacher: str) -> None:
    assert judge(teacher, " Red  STAR.", "red star") == (True, 0)
    assert judge(teacher, "It is\nthe red star", "red star") == (True, 1)
    assert judge(teacher, "not red, a blue star", "red star") == (False, 1)


def test_an_answer_that_chooses_no_option_goes_to_the_teacher(teacher: str) -> None:
    assert judge(teacher, "It is a star", "the star", ["the star", "the ring"]) == (True, 1)
    assert judge(teacher, "A or B", "the star", ["the star", "the ring"]) == (False, 1)


def test_what_was_not_answered_is_wrong(teacher: str) -> None:
    assert judge(teacher, "star", "star", answerable=False) == (False, 0)
    assert judge(teacher, " ", "star") == (False, 0)


def test_a_question_without_an_answer_cannot_be_judged() -> None:
    reply = VideoAnswer(answerable=True, answer="star", reason="")
    with pytest.raises(ValueError, match="q0 has no known answer"):
        asyncio.run(is_right(Teacher(TeacherConfig()), asked(0, answer=None), reply))


# Categories and probing.


def test_a_malformed_category_costs_its_question_and_no_other(
    questions: list[VideoQuestion], start_teacher: Callable[..., Any]
) -> None:
    with start_teacher("--malformed", "0.6") as url:
        categories, rejects = asyncio.run(categorise(Teacher(TeacherConfig(base_url=url)), questions))
    assert {reject.stage for reject in rejects} == {"category"}
    assert all(reject.raw for reject in rejects)
    assert len(rejects) >= 5
    assert set(categories) == {question.id for question in questions} - {reject.item for reject in rejects}
    assert all(found.reason.startswith("recognised as") for found in categories.values())


def test_questions_with_answers_are_probed_evenly_and_held_out_ones_only_for_their_own_label() -> None:
    members = [asked(n, video=f"v{n}", split="train" if n < 20 else "test") for n in range(30)]
    members[3] = asked(3, answer=None)
    categories = {q.id: QuestionCategory(category=Category.ORDER, reason="") for q in members if q.id != "q5"}
    assert list(to_probe(members, categories, 6)) == ["v0", "v4", "v8", "v11", "v14", "v17"]
    assert len(to_probe(members, categories, 100)) == 18
    assert len(to_probe(members, categories, 100, every_split=True)) == 28


def test_both_policies_are_probed_under_one_cap_and_the_winners_are_right(
    each: Decided, truth: Mapping[str, Policy]
) -> None:
    categories, probing, rejects = each
    assert rejects == probing.failed == []
    assert probing.prober == "teacher miniature-teacher"
    for one in probing.probed.values():
        assert one.tokens["global"] == 512
        assert one.tokens["fragment"] <= 512
        assert one.alone in (None, truth[one.question])
    known = {categories[question].category: policy for question, policy in truth.items()}
    assert all(outcome.winner in (None, known[Category(name)]) for name, outcome in probing.outcomes.items())
    assert sum(outcome.winner is not None for outcome in probing.outcomes.values()) >= 3


def test_open_questions_are_probed_and_judged(
    questions: list[VideoQuestion], videos: VideoFolder, teacher: str, tmp_path: Path
) -> None:
    first = questions[0].video
    kinds = ("glyph_by_shape", "count_cue")
    chosen = [q for q in questions if q.video == first and q.task_type in kinds]
    opened = [q.model_copy(update={"options": None, "split": None}) for q in chosen]
    (_, probing, _), _ = probe_all(opened, videos, teacher, tmp_path)
    assert len(probing.probed) == len(opened) >= 2
    assert not any(one.neither for one in probing.probed.values())


def test_what_was_probed_is_read_back_and_pays_nothing(
    questions: list[VideoQuestion], videos: VideoFolder, teacher: str, tmp_path: Path
) -> None:
    first, asking = probe_all(questions[:3], videos, teacher, tmp_path)
    assert asking.usage.requests > 0
    again, silent = probe_all(questions[:3], videos, "http://127.0.0.1:9/v1", tmp_path)
    assert again == first
    assert silent.usage.requests == 0


def test_probes_of_a_killed_build_are_reused(
    questions: list[VideoQuestion], videos: VideoFolder, teacher: str, tmp_path: Path
) -> None:
    (_, first, _), paid = probe_all(questions[:6], videos, teacher, tmp_path)
    (tmp_path / PROBES).unlink()
    known = list(first.probed.values())
    log = ProbeLog(tmp_path / UNFINISHED)
    for one in known[:-1]:
        log.add(one)
    with log.path.open("a") as file:
        file.write('{"question": "torn')
    (_, again, _), asked_once_more = probe_all(questions[:6], videos, teacher, tmp_path)
    assert again == first
    # Six categories; then two windows of scores and two answers for the one question that the kill cost.
    assert asked_once_more.usage.requests == 6 + 4 < paid.usage.requests
    assert not (tmp_path / UNFINISHED).exists()


def test_a_record_of_probing_that_does_not_read_is_named(
    questions: list[VideoQuestion], videos: VideoFolder, teacher: str, tmp_path: Path
) -> None:
    (tmp_path / PROBES).write_text('{"categories": {}}')
    with pytest.raises(ValueError, match=r"probes\.json does not read \(probing: Field required\): remove it"):
        probe_all(questions, videos, teacher, tmp_path)


def test_a_failed_probe_counts_for_nothing_and_is_reported(
    questions: list[VideoQuestion],
    videos: VideoFolder,
    start_teacher: Callable[..., Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    by_question = PolicyConfig(labels="question")
    with start_teacher("--malformed", "0.3") as url:
        decided, _ = probe_all(questions[:12], videos, url, tmp_path, policies=by_question)
    _, probing, _ = decided
    assert probing.failed
    assert not {reject.item for reject in probing.failed} & set(probing.probed)
    assert outcome_notes(probing)["probes_failed"] == {"invalid_reply": len(probing.failed)}
    print_probing(probing)
    assert f"{len(probing.failed)} probes failed" in capsys.readouterr().out
    members = [q for q in questions if q.id == probing.failed[0].item]
    assert label(members, videos, decided, by_question) == ([], {members[0].id: ("probe", "invalid_reply")})
    kept, rejects = label(members, videos, decided, PolicyConfig(tied="global"))
    assert len(kept) + len(rejects) == 1
    assert ("probe", "invalid_reply") not in rejects.values()


def test_a_local_base_finds_the_policies_without_the_teacher_answering(
    questions: list[VideoQuestion], videos: VideoFolder, teacher: str, tmp_path: Path, truth: Mapping[str, Policy]
) -> None:
    wanted = ("glyph_by_shape", "place_of_glyph", "count_cue")
    chosen = [q for q in questions if q.task_type in wanted and (q.split or "train") == "train"]
    config = ProbeConfig(tokens_per_frame=16, global_scale=4, irrelevant_scale=8, local_base=str(ROBUST))
    (_, probing, _), asking = probe_all(chosen, videos, teacher, tmp_path, config)
    assert probing.prober == f"base {ROBUST}"
    assert {one.tokens["global"] for one in probing.probed.values()} == {64 * 4}
    assert max(one.tokens["fragment"] for one in probing.probed.values()) <= 64 * 4
    alone = [one.alone == truth[one.question] for one in probing.probed.values() if one.alone]
    assert sum(alone) >= 0.8 * len(alone)
    assert len(alone) >= 4
    # A category and two windows of scores each, and no answers: options are matched without a judge.
    assert asking.usage.requests == len(chosen) * 3


def test_a_local_base_with_other_frames_is_refused(
    questions: list[VideoQuestion], videos: VideoFolder, teacher: str, tmp_path: Path
) -> None:
    config = ProbeConfig(tokens_per_frame=256, local_base=str(ROBUST))
    with pytest.raises(ValueError, match="makes 16 tokens a frame, --tokens_per_frame says 256"):
        probe_all(questions[:1], videos, teacher, tmp_path, config)


# Labels.


def test_a_question_gets_the_policy_that_alone_solved_it(
    questions: list[VideoQuestion], videos: VideoFolder, each: Decided, truth: Mapping[str, Policy]
) -> None:
    config = PolicyConfig(labels="question", both="drop", neither="drop")
    labelled, aside = label(questions, videos, each, config)
    assert {one.question.split for one in labelled} == {"train", "val", "test"}
    assert len(labelled) >= len(questions) / 2
    for one in labelled:
        assert one.policy is not None
        assert (one.policy.policy, one.policy.margin, one.policy.support) == (truth[one.question.id], 1.0, 1)
        assert one.reason == f"recognised as {one.question.task_type}"
    assert set(aside.values()) <= {("filter", "both"), ("filter", "neither")}
    assert len(aside) + len(labelled) == len(questions)


def test_questions_that_were_not_probed_have_no_label_of_their_own(
    videos: VideoFolder, questions: list[VideoQuestion]
) -> None:
    decided = found([(True, False), (True, True), (False, False)])
    members = [asked(number, video=questions[0].video) for number in range(4)]
    labelled, aside = label(members, videos, decided, PolicyConfig(labels="question"))
    assert aside == {"q3": ("filter", "unprobed")}
    assert [one.policy.support for one in labelled if one.policy] == [1, 3, 3]


def test_what_both_or_neither_solve_is_dropped_by_option_and_counts_no_more(
    videos: VideoFolder, questions: list[VideoQuestion]
) -> None:
    decided = found([(True, False), (True, False), (False, True), (True, True), (False, False), (False, False)])
    members = [asked(number, video=questions[0].video) for number in range(7)]
    kept, aside = label(members, videos, decided, PolicyConfig())
    assert aside == {}
    assert {(p.policy, p.support, round(p.margin, 3)) for one in kept if (p := one.policy)} == {("global", 6, 0.167)}
    kept, aside = label(members, videos, decided, PolicyConfig(both="drop", neither="drop"))
    assert aside == {"q3": ("filter", "both"), "q4": ("filter", "neither"), "q5": ("filter", "neither")}
    assert {(p.policy, p.support, round(p.margin, 3)) for one in kept if (p := one.policy)} == {("global", 3, 0.333)}
    noted = outcome_notes(decided[1], PolicyConfig(neither="drop"))["probing"]["action"]
    assert (noted["support"], noted["both"], noted["neither"], noted["counted"]) == (6, 1, 2, 4)
    assert (noted["winner"], noted["margin"], noted["tokens"]) == ("global", 0.25, {"global": 512, "fragment": 300})


def test_a_tie_is_put_aside_by_name_or_labelled_as_told(videos: VideoFolder, questions: list[VideoQuestion]) -> None:
    decided = found([(True, False), (False, True), (True, True)])
    members = [asked(number, video=questions[0].video) for number in range(4)]
    assert label(members, videos, decided, PolicyConfig()) == ([], {f"q{n}": ("filter", "tie") for n in range(4)})
    labelled, aside = label(members, videos, decided, PolicyConfig(tied="fragment"))
    assert aside == {}
    assert {(p.policy, p.margin, p.support) for one in labelled if (p := one.policy)} == {("fragment", 0.0, 3)}


def test_all_dropped_leaves_a_tie_and_no_division(videos: VideoFolder, questions: list[VideoQuestion]) -> None:
    decided = found([(True, True)])
    _, aside = label([asked(1, video=questions[0].video)], videos, decided, PolicyConfig(both="drop"))
    assert aside == {"q1": ("filter", "tie")}
    assert decided[1].outcomes["action"].margin(PolicyConfig(both="drop")) == 0.0


# Bounded work.


def test_few_are_worked_on_at_once_and_results_keep_their_order() -> None:
    working: set[int] = set()
    heard: list[int] = []
    most = 0

    async def work(item: int) -> int:
        nonlocal most
        working.add(item)
        most = max(most, len(working))
        await asyncio.sleep(0.001 * (item % 3))
        working.remove(item)
        return item * item

    assert asyncio.run(map_concurrently(work, range(20), 3, heard.append)) == [n * n for n in range(20)]
    assert most == 3
    assert sorted(heard) == list(range(20))


def test_the_first_failure_ends_all_others() -> None:
    begun: list[int] = []

    async def work(item: int) -> None:
        begun.append(item)
        if item == 1:
            raise RuntimeError("down")
        await asyncio.sleep(5)

    with pytest.raises(RuntimeError, match="down"):
        asyncio.run(map_concurrently(work, range(20), 2, lambda _: None))
    assert begun == [0, 1]
