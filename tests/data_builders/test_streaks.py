"""Refusals are counted by kind of request and by video; what was in flight, what is larger and what moderates count apart."""

import pickle
from dataclasses import replace

import pytest

from videorouter.data_builders.teacher.errors import TeacherRefuses
from videorouter.data_builders.teacher.fault import Heard, Met, Streaks
from videorouter.data_builders.teacher.hints import what_to_change

AT_ONCE = 4


def met(video: str, kind: str = "scores", size: int = 1, shape: str = "HTTP 400", moderation: bool = False) -> Met:
    return Met(kind, video, size, shape, "HTTP 400: no", (), moderation)


def refuse(streaks: Streaks, *refusals: Met) -> None:
    for one in refusals:
        streaks.met(streaks.began(one.kind, one.video, one.size), one, AT_ONCE)


def answer(streaks: Streaks, video: str, kind: str = "scores", size: int = 1) -> None:
    streaks.succeeded(streaks.began(kind, video, size))


def videos(count: int) -> list[str]:
    return [f"v{number}" for number in range(count)]


def test_the_eighth_video_that_is_refused_alike_stops_the_run() -> None:
    streaks = Streaks()
    refuse(streaks, *map(met, videos(7)))
    with pytest.raises(TeacherRefuses, match="8 videos met the same"):
        refuse(streaks, met("v7"))
    with pytest.raises(TeacherRefuses):
        streaks.began("scores", "v8", 1)
    assert {one.video for one in streaks.doubts} == set(videos(8))


def test_an_answer_of_the_kind_ends_a_streak_and_one_of_another_kind_does_not() -> None:
    streaks = Streaks()
    refuse(streaks, *map(met, videos(7)))
    answer(streaks, "v9", kind="captions")
    assert len(streaks.doubts) == 7
    answer(streaks, "v9")
    assert streaks.doubts == ()
    refuse(streaks, *map(met, videos(7)))


def test_other_words_and_other_kinds_are_other_streaks() -> None:
    streaks = Streaks()
    refuse(streaks, *map(met, videos(7)), met("v7", shape="HTTP 413"), met("v8", kind="captions"))


def test_one_video_is_one_however_often_it_is_refused() -> None:
    streaks = Streaks()
    refuse(streaks, *[met("v0")] * 50, *map(met, videos(7)))


def test_a_video_of_which_a_request_was_answered_is_in_no_streak() -> None:
    streaks = Streaks()
    for video in videos(20):
        answer(streaks, video)
    refuse(streaks, *map(met, videos(20)))


def test_what_was_cleared_is_not_counted_again() -> None:
    streaks = Streaks()
    refuse(streaks, *map(met, videos(7)))
    answer(streaks, "v7")
    refuse(streaks, *map(met, videos(7)), *[met(f"w{number}") for number in range(7)])


def test_an_answer_that_was_kept_speaks_for_its_video_alone() -> None:
    streaks = Streaks()
    refuse(streaks, *map(met, videos(7)))
    streaks.succeeded(streaks.began("scores", "w0", 1), kept=True)
    refuse(streaks, met("w0"))
    with pytest.raises(TeacherRefuses, match="8 videos"):
        refuse(streaks, met("w1"))
    assert {one.video for one in streaks.doubts} == {*videos(7), "w0", "w1"}


def test_small_requests_do_not_speak_for_large_ones() -> None:
    streaks = Streaks()
    for video in videos(7):
        refuse(streaks, met(video, size=32))
        answer(streaks, video, size=8)
    with pytest.raises(TeacherRefuses):
        refuse(streaks, met("v7", size=32))


def test_answers_in_flight_are_awaited() -> None:
    streaks = Streaks()
    slow = streaks.began("scores", "v0", 1)
    refuse(streaks, *map(met, videos(12)))
    streaks.succeeded(slow)
    refuse(streaks, *map(met, videos(7)))


def test_a_streak_is_judged_once_those_in_flight_are_refused_too() -> None:
    streaks = Streaks()
    asked = [streaks.began("scores", video, 1) for video in videos(20)]
    *before, last = asked[: 8 + AT_ONCE]
    for asking in before:
        streaks.met(asking, met(asking.video), AT_ONCE)
    with pytest.raises(TeacherRefuses):
        streaks.met(last, met(last.video), AT_ONCE)


def fail(video: str, conclusive: bool = False) -> Met:
    return replace(met(video, shape="server_error"), conclusive=conclusive)


def test_a_request_that_fails_is_waited_for_no_longer() -> None:
    streaks = Streaks()
    slow = streaks.began("scores", "v0", 1)
    refuse(streaks, *map(met, videos(9)))
    with pytest.raises(TeacherRefuses):
        streaks.met(slow, fail("v0"), AT_ONCE)


def test_failures_stop_the_run_once_one_of_so_many_is_conclusive() -> None:
    streaks = Streaks()
    refuse(streaks, *map(fail, videos(6)))
    assert streaks.failing_since(fail("v6")) is None
    refuse(streaks, fail("v6"))
    assert streaks.failing_since(fail("v7")) is not None
    refuse(streaks, *map(fail, videos(20)))
    assert len({one.video for one in streaks.doubts}) == 20
    with pytest.raises(
        TeacherRefuses, match="the endpoint fails on what this run asks: scores requests about 21 videos"
    ):
        refuse(streaks, fail("v20", conclusive=True))


def test_a_failure_that_is_known_to_be_its_videos_own_is_not_doubted() -> None:
    streaks = Streaks()
    answer(streaks, "v9")
    refuse(streaks, *map(fail, videos(9)))
    assert streaks.failing_since(fail("v9")) is None
    answer(streaks, "v10")
    assert streaks.doubts == ()
    assert streaks.failing_since(fail("v11")) is None


def test_a_request_that_is_given_up_is_waited_for_no_longer() -> None:
    streaks = Streaks()
    slow = streaks.began("scores", "v0", 1)
    refuse(streaks, *map(met, videos(9)))
    streaks.left(slow)
    with pytest.raises(TeacherRefuses):
        refuse(streaks, met("v9"))


def test_moderation_is_the_runs_when_it_is_over_half_of_the_last_200_requests() -> None:
    streaks = Streaks()
    for number in range(300):
        refuse(streaks, met(f"v{number}", moderation=True))
        answer(streaks, f"v{number}")
    assert streaks.doubts == ()
    with pytest.raises(TeacherRefuses, match="over half of the last 200"):
        refuse(streaks, met("a", moderation=True), met("b", moderation=True))
    assert len(streaks.doubts) > 100


def test_all_videos_of_a_small_build_are_enough_where_none_was_answered() -> None:
    streaks = Streaks(videos=3)
    refuse(streaks, *map(met, videos(3)))
    with pytest.raises(TeacherRefuses, match="3 videos"):
        streaks.finish()
    answered = Streaks(videos=3)
    answer(answered, "v0")
    refuse(answered, *map(met, videos(3)))
    answered.finish()
    other = Streaks(videos=3)
    refuse(other, met("v0"), met("v1"), met("v2", shape="HTTP 413"))
    other.finish()


def test_another_process_goes_its_own_way_and_tells_what_it_heard() -> None:
    first = Streaks()
    refuse(first, *map(met, videos(7)))
    second: Streaks = pickle.loads(pickle.dumps(first))
    with pytest.raises(TeacherRefuses):
        refuse(second, met("v7"))
    heard = Heard(met=[met("v7"), met("v8")])
    heard.succeeded(first.began("scores", "v9", 1), kept=False)
    first.replay(heard)  # its answer came between
    assert {one.video for one in first.doubts} == {"v7", "v8"}
    with pytest.raises(TeacherRefuses):
        first.replay(Heard(met=[met(f"w{number}") for number in range(6)]))


def test_nothing_stops_a_run_that_is_told_so() -> None:
    streaks = Streaks(videos=20, most=0)
    refuse(streaks, *map(met, videos(20)), *[met(video, moderation=True) for video in videos(200)])
    streaks.finish()


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("Unsupported value: 'temperature' does not support 0", "--teacher.temperature"),
        ("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", "--teacher.max_tokens_name"),
        ("At most 16 image(s) may be provided in one prompt.", "--limit-mm-per-prompt"),
        ("HTTP 413 Request Entity Too Large", "larger bodies"),
        ("This model's maximum context length is 8192 tokens", "longer context"),
        ("Invalid schema for response_format: 'minimum' is not permitted", "response_format"),
        ("HTTP 400 This model only support stream mode, please enable the stream parameter", "whole replies"),
        ("HTTP 422 extra_forbidden body seed Extra inputs are not permitted", "take the field out"),
        ("HTTP 403 Forbidden", "check the key"),
        ("the teacher failed 6 times on this request: no answer within 120 s", "--teacher.timeout"),
        ("The model `x` does not exist", "--teacher.model"),
        ("the reply is not a valid FrameScores after one correction", "constrained decoding"),
        ("no", "change what it names"),
    ],
)
def test_what_to_change_follows_from_the_words(words: str, advice: str) -> None:
    assert advice in what_to_change(words)
