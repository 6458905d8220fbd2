"""Pooling ignores padding and attention sinks; standardisation uses gathered moments."""

import torch

from videorouter.routers.routing.routers import Standardise, mean_without_sinks


def test_padding_does_not_enter_the_mean() -> None:
    states = torch.randn(2, 5, 8)
    mask = torch.tensor([[True] * 3 + [False] * 2, [True] * 5])
    pooled = mean_without_sinks(states, mask)
    torch.testing.assert_close(pooled[0], states[0, :3].mean(0))
    torch.testing.assert_close(pooled[1], states[1].mean(0))


def test_a_sink_token_does_not_enter_the_mean() -> None:
    states = torch.randn(1, 6, 8)
    states[0, 0] *= 1000
    torch.testing.assert_close(mean_without_sinks(states)[0], states[0, 1:].mean(0))


def test_moments_make_features_standard() -> None:
    rows = torch.randn(5000, 4) * torch.tensor([1.0, 10.0, 0.1, 3.0]) + 7
    standardise = Standardise(4)
    wide = rows.double()
    standardise.fit(torch.tensor(len(rows)), wide.sum(0), (wide**2).sum(0))
    out = standardise(rows)
    torch.testing.assert_close(out.mean(0), torch.zeros(4), atol=1e-3, rtol=0)
    torch.testing.assert_close(out.std(0), torch.ones(4), atol=1e-2, rtol=0)
