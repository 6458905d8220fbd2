"""VidCom2 keeps what its paper's rule keeps: a case worked by hand, an independent float64 version, and its symmetries."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from videorouter.routers.systems.query import Query
from videorouter.routers.systems.vidcom2 import FLOATS_AT_ONCE, VidCom2, frame_retention, keep_indices, token_similarity

QUERY = Query("Which one?")


def reference(features: np.ndarray, retention: float) -> tuple[np.ndarray, np.ndarray]:
    """Kept flat indices and `r`, written from the paper's formulas alone, in float64."""
    frames, per_frame, channels = features.shape
    tokens = features.astype(np.float64).reshape(-1, channels)
    low = np.argsort(tokens.var(axis=0), kind="stable")[: channels // 2]
    x = tokens[:, low] / np.linalg.norm(tokens[:, low], axis=1, keepdims=True)
    x = x.reshape(frames, per_frame, -1)
    scales = (1 / 8, 1 / 4, 1 / 2, 1, 2)

    def kernels(centre: np.ndarray) -> np.ndarray:
        return sum(np.exp(-((x - centre) ** 2).sum(-1) / (2 * a)) for a in scales)

    v, f = kernels(x.mean(axis=(0, 1))), kernels(x.mean(axis=1, keepdims=True))
    u = -v.mean(axis=1)
    p = np.exp((u - u.max()) / 0.01)
    p /= p.sum()
    r = np.minimum(1, retention * (1 + p - p.mean()))
    kept = []
    for frame in range(frames):
        count = max(1, round(r[frame] * per_frame))
        best = np.argsort(v[frame] + f[frame], kind="stable")[:count]
        kept += [frame * per_frame + int(token) for token in sorted(best)]
    return np.array(kept), r


def features_like_a_video(seed: int, frames: int, per_frame: int, channels: int) -> torch.Tensor:
    random = np.random.default_rng(seed)
    drift = random.normal(size=(frames, 1, channels)) * random.uniform(0, 1, size=(frames, 1, 1))
    tokens = random.normal(size=channels) + drift + random.normal(size=(frames, per_frame, channels))
    return torch.tensor(tokens * random.uniform(0.2, 3, size=channels), dtype=torch.float32)


def test_a_case_worked_by_hand() -> None:
    # Channels 2 and 3 vary most and are ignored. Over channels 0 and 1 all tokens are (1, 0) after normalising, but the last
    # token of frame 0, (0, 1), and frame 1, all (0, 1). Mean of the video: (3, 5) / 8; of the frames: (3, 1) / 4, (0, 1).
    features = torch.tensor(
        [
            [[1.0, 0.0, 90.0, -70.0], [2.0, 0.0, -90.0, 70.0], [1.0, 0.0, 90.0, -70.0], [0.0, 1.0, -90.0, 70.0]],
            [[0.0, 1.0, 90.0, 70.0], [0.0, 2.0, -90.0, -70.0], [0.0, 1.0, 90.0, -70.0], [0.0, 1.0, -90.0, 70.0]],
        ]
    )
    similarity = token_similarity(features)
    far, near = 2 * (5 / 8) ** 2, 2 * (3 / 8) ** 2  # squared distances of (1, 0) and of (0, 1) to the video's mean

    def kernel(d2: float) -> float:
        return sum(float(np.exp(-d2 / (2 * a))) for a in (0.125, 0.25, 0.5, 1, 2))

    expected = torch.tensor([[kernel(far)] * 3 + [kernel(near)], [kernel(near)] * 4], dtype=torch.float64)
    torch.testing.assert_close(similarity.to_video, expected, rtol=1e-6, atol=1e-6)
    odd = [kernel(2 / 16)] * 3 + [kernel(2 * 9 / 16)]
    torch.testing.assert_close(similarity.to_frame[0], torch.tensor(odd, dtype=torch.float64), rtol=1e-6, atol=1e-6)
    # Frame 0 is much less like the video: p = (1, 0), r = R (3/2, 1/2). At R = 1/2 three and one tokens are kept. Both
    # similarities sum to 6.39 for (1, 0) and 5.22 for (0, 1) in frame 0: the odd token is kept, then the first two.
    assert frame_retention(features, 0.5).tolist() == pytest.approx([0.75, 0.25])
    assert keep_indices(features, 0.5).tolist() == [0, 1, 3, 4]
    assert keep_indices(features, 1.0).tolist() == [0, 1, 2, 3, 4, 5]


@settings(max_examples=60)
@given(
    st.integers(0, 10**6),
    st.integers(1, 9),
    st.integers(3, 12),  # two tokens are equally far from their mean
    st.integers(8, 40),  # over one channel all tokens are alike
    st.sampled_from([0.05, 0.15, 0.25, 0.5, 0.9, 1.0]),
)
def test_it_equals_an_independent_float64_version(
    seed: int, frames: int, per_frame: int, channels: int, retention: float
) -> None:
    features = features_like_a_video(seed, frames, per_frame, channels)
    expected, r = reference(features.numpy(), retention)
    np.testing.assert_allclose(frame_retention(features, retention).numpy(), r, rtol=2e-3, atol=1e-4)
    if not np.isclose(r * per_frame % 1, 0.5, atol=1e-3).any():  # a half may round either way
        assert keep_indices(features, retention).tolist() == expected.tolist()


def test_it_equals_the_float64_version_over_several_chunks() -> None:
    features = features_like_a_video(1, 12, 64, 2 * FLOATS_AT_ONCE // (64 * 12))
    assert keep_indices(features, 0.25).tolist() == reference(features.numpy(), 0.25)[0].tolist()


@given(st.integers(0, 10**6), st.permutations(range(7)))
def test_permuting_frames_permutes_the_result(seed: int, order: list[int]) -> None:
    features = features_like_a_video(seed, 7, 8, 24)
    plain, permuted = (
        {divmod(index, 8) for index in keep_indices(tokens, 0.3).tolist()} for tokens in (features, features[order])
    )
    assert {(order[frame], cell) for frame, cell in permuted} == plain


@given(st.integers(0, 10**6), st.integers(1, 30), st.floats(0.01, 1.0))
def test_frame_retention_sums_to_its_mean_and_keeps_its_bounds(seed: int, frames: int, retention: float) -> None:
    r = frame_retention(features_like_a_video(seed, frames, 6, 16), retention).double()
    assert bool((r >= retention * (1 - 1 / frames) - 1e-6).all())
    assert bool((r <= min(1.0, retention * (2 - 1 / frames)) + 1e-6).all())
    if retention * (2 - 1 / frames) < 1:  # nothing is clamped
        assert float(r.sum()) == pytest.approx(retention * frames, rel=1e-5)


@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 10), st.integers(1, 130))
def test_the_system_picks_the_largest_retention_that_fits(seed: int, frames: int, per_frame: int, budget: int) -> None:
    features = features_like_a_video(seed, frames, per_frame, 12)
    if budget < frames:
        return
    kept = VidCom2().compress(features, QUERY, budget)
    assert kept.tokens <= budget
    totals = [len(keep_indices(features, r)) for r in np.linspace(0.002, 1, 60)]
    assert totals == sorted(totals)
    assert kept.tokens >= max((total for total in totals if total <= budget), default=0)
    if budget >= frames * per_frame:
        assert torch.equal(kept.embeddings, features.flatten(0, 1))
    same = [r for r, total in zip(np.linspace(0.002, 1, 60), totals, strict=True) if total == kept.tokens]
    for retention in same[:1]:
        assert (kept.frames * per_frame + kept.cells).tolist() == keep_indices(features, retention).tolist()


def test_tokens_are_scored_on_the_models_channels_and_kept_whole() -> None:
    features = features_like_a_video(3, 6, 8, 16)
    further = torch.cat([features, 100 * torch.randn(6, 8, 3, generator=torch.Generator().manual_seed(0))], dim=-1)
    plain, whole = VidCom2().compress(features, QUERY, 20), VidCom2(width=16).compress(further, QUERY, 20)
    assert plain.cells.tolist() == whole.cells.tolist()
    assert torch.equal(whole.embeddings, further[whole.frames, whole.cells])


def test_half_precision_features_are_scored_in_float32() -> None:
    features = features_like_a_video(5, 6, 8, 32).to(torch.bfloat16)
    assert keep_indices(features, 0.3).tolist() == keep_indices(features.float(), 0.3).tolist()


def test_identical_and_empty_tokens_are_no_numbers_gone_wrong() -> None:
    assert keep_indices(torch.zeros(3, 4, 8), 0.5).tolist() == [0, 1, 4, 5, 8, 9]
    assert keep_indices(torch.ones(3, 4, 8), 0.5).tolist() == [0, 1, 4, 5, 8, 9]


@pytest.mark.parametrize("retention", [0.0, -0.1, 1.1, 25.0, float("nan")])
def test_a_retention_that_is_no_share_is_refused(retention: float) -> None:
    with pytest.raises(ValueError, match="above 0, at most 1"):
        keep_indices(torch.ones(2, 4, 8), retention)
    with pytest.raises(ValueError, match="tokens a frame"):
        keep_indices(torch.ones(2, 4), 0.5)
