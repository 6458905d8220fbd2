"""Three named conventions, each exactly as documented."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videorouter.video.sampling import SAMPLERS, at_fps, interior, segment_midpoint


def test_segment_midpoint_follows_the_model_card() -> None:
    assert segment_midpoint(100, 4) == [12, 37, 62, 86]
    assert segment_midpoint(480, 64)[:3] == [3, 10, 18]


def test_interior_leaves_both_ends_out() -> None:
    assert interior(100, 4) == [20, 40, 60, 80]


def test_at_fps_takes_the_nearest_frame_and_ties_go_down() -> None:
    assert at_fps(30, 10.0, 0.5, 100) == [0, 5, 10, 15, 20, 25]
    assert at_fps(12, 5.0, 0.5, 100) == [0, 2, 5, 7, 10]


def test_at_fps_beyond_the_cap_thins_evenly() -> None:
    assert at_fps(1000, 10.0, 1.0, 4) == [10 * i for i in segment_midpoint(100, 4)]


@given(st.sampled_from(sorted(SAMPLERS)), st.integers(1, 100_000), st.integers(1, 600))
def test_indices_are_in_the_video_ordered_and_as_many_as_asked(sampler: str, total: int, count: int) -> None:
    indices = SAMPLERS[sampler](total, count)
    assert len(indices) == count
    assert indices == sorted(indices)
    assert 0 <= indices[0] <= indices[-1] < total


@given(st.integers(1, 50_000), st.floats(1, 120), st.floats(0.1, 20), st.integers(1, 300))
def test_at_fps_never_exceeds_the_cap_or_the_video(total: int, fps: float, every: float, cap: int) -> None:
    indices = at_fps(total, fps, every, cap)
    assert 1 <= len(indices) <= cap
    assert indices == sorted(indices)
    assert 0 <= indices[0] <= indices[-1] < total


@pytest.mark.parametrize("wrong", [(0, 4), (4, 0)])
def test_nothing_cannot_be_sampled(wrong: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        segment_midpoint(*wrong)
