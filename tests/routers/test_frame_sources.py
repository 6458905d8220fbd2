"""Tokens and frames are made when they are asked for, and are the same as if all had been made at once."""

from pathlib import Path

import numpy as np
import torch

from tests.routers.attentive import attentive, video
from tests.video.counting import STEP, write_counting_video
from videorouter.routers.backbones.sources import FramesOnDemand, LazyTokens


def test_only_the_frames_asked_for_are_encoded() -> None:
    backbone, itself = attentive()
    tokens = video(30)
    lazy = LazyTokens(backbone, tokens.numpy())
    assert len(lazy) == 30
    assert torch.equal(lazy[[4, 29, 0]], tokens[[4, 29, 0]])
    assert itself.encoded == [3]


def test_a_model_that_merges_frames_is_given_whole_runs() -> None:
    backbone, itself = attentive()
    itself.frames_per_patch = 2
    tokens = video(5)
    lazy = LazyTokens(backbone, tokens.numpy())
    assert len(lazy) == 3
    assert torch.equal(lazy[[0, 2]], tokens[[0, 4]])
    assert itself.encoded == [4]


def test_only_the_frames_asked_for_are_decoded(tmp_path: Path) -> None:
    frames = FramesOnDemand(write_counting_video(tmp_path / "counting.mp4"), [i / 10 for i in range(0, 60, 3)], size=32)
    assert len(frames) == 20
    read = frames[[2, 9, 19]]
    assert read.shape == (3, 32, 32, 3)
    assert (np.round(read.mean(axis=(1, 2, 3)) / STEP) == [6, 27, 57]).all()
