"""The layer probe finds the layer that looks at the needles, reads Video-FLR shards, and is a command."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.routers.attentive import AttentiveBackbone
from tests.shards.samples import sample, write_dataset
from videorouter.routers.__main__ import main
from videorouter.routers.systems.layer_probe import (
    Haystack,
    best_layer,
    layer_table,
    needle_quality,
    probe_layers,
    read_haystacks,
)
from videorouter.routers.systems.query import Query
from videorouter.shards.sample import ShardSample
from videorouter.shards.schema import FrameRelevance


class LooksAtNeedles(AttentiveBackbone):
    """Layer 5 attends where channel 0 is high, the others at random."""

    def inspect(self, prompt: Any, layer: int, max_new_tokens: int) -> Any:
        seen = super().inspect(prompt, layer, max_new_tokens)
        if layer != 5:
            seen.attention = torch.rand(len(seen.attention), generator=torch.Generator().manual_seed(layer))
        return seen


def haystack(frames: int = 20, needles: tuple[int, ...] = (3, 11)) -> Haystack:
    draw = np.random.default_rng(0)
    tokens = draw.uniform(0, 1, (frames, 4, 6)).astype(np.float32)
    tokens[list(needles), :2, 0] += 2
    return Haystack(
        "a.mp4", tokens, list(range(frames)), [(Query("Where?"), tuple(frame in needles for frame in range(frames)))]
    )


def test_the_layer_that_looks_at_the_needles_is_found() -> None:
    backbone: Any = LooksAtNeedles()
    qualities = probe_layers(backbone, [haystack(), haystack(needles=(7,))])
    assert best_layer(qualities) == 5
    found = qualities[5]
    assert found.auroc == pytest.approx(1.0)
    assert found.recall == pytest.approx(0.5)
    assert found.chance == pytest.approx((2 / 20 + 1 / 20) / 2)
    assert len(layer_table(qualities, "tiny").rows) == backbone.layers
    assert [quality.layer for quality in probe_layers(backbone, [haystack()], [2, 5])] == [2, 5]
    with pytest.raises(ValueError, match=r"layer 9 is outside 0\.\.7"):
        probe_layers(backbone, [haystack()], [9])
    with pytest.raises(ValueError, match="no question"):
        probe_layers(backbone, [])


def test_quality_by_hand() -> None:
    attention = torch.tensor([[0.9, 0.1], [0.8, 0.7], [0.2, 0.3]])
    recall, area = needle_quality(attention, torch.tensor([False, True, False]))
    assert (recall, area) == (0.5, 0.5)


def labelled(key: str, relevant: list[bool]) -> ShardSample:
    made = sample(key, len(relevant))
    question = made.questions[0].model_copy(update={"relevance": FrameRelevance(relevant=relevant)})
    return ShardSample(made.key, made.video, [question] * 3, made.jpegs)


def test_haystacks_are_the_questions_with_small_needles(tmp_path: Path) -> None:
    small, large = [True, False, False, False], [True, True, False, False]
    write_dataset(tmp_path, {"train-0": [labelled("a", small), labelled("b", large)], "val-0": [labelled("c", small)]})
    found = list(read_haystacks(tmp_path, a_video=2))
    assert [(each.video, len(each.needles)) for each in found] == [("a.mp4", 2), ("c.mp4", 2)]
    assert np.array_equal(found[0].frames, labelled("a", small).frames())
    assert found[0].needles[0] == (Query("What?", ("x", "y")), tuple(small))
    assert [each.video for each in read_haystacks(tmp_path, "val")] == ["c.mp4"]
    assert sum(len(each.needles) for each in read_haystacks(tmp_path, questions=4)) == 4
    with pytest.raises(ValueError, match="at most 10%"):
        list(read_haystacks(tmp_path, largest_share=0.1))
    with pytest.raises(ValueError, match="no shards of split 'test'"):
        list(read_haystacks(tmp_path, "test"))


def test_it_is_a_command(base: Path, flr: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["probe-layer", "--model", str(base), "--data", str(flr), "--questions", "2", "--layers", "[1, 3]"]
    assert main(arguments) == 0
    assert "best layer: " in capsys.readouterr().out
    assert main([*arguments, "--split", "nowhere"]) == 1
    assert "no shards of split 'nowhere'" in capsys.readouterr().err
