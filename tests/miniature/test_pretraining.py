"""How the bases are made: sight that cannot bind place, lessons that are true, prompts as at run time, parts that resume."""

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from rich.progress import Progress
from transformers import InternVLForConditionalGeneration, PreTrainedTokenizerFast

from videorouter.miniature.pretraining import recipe
from videorouter.miniature.pretraining.auxiliary_losses import (
    CHOOSING_LAYER,
    COUNTING_HEAD,
    LOOKING_LAYER,
    RECALLING_LAYER,
    AuxiliaryHeads,
)
from videorouter.miniature.pretraining.language import Course, LanguageLearner
from videorouter.miniature.pretraining.lesson_videos import LessonVideo, SceneBank, build_scene_bank, draw_video
from videorouter.miniature.pretraining.lesson_wordings import rephrased
from videorouter.miniature.pretraining.lessons import Lesson, lessons
from videorouter.miniature.pretraining.model import new_model, train_tokenizer
from videorouter.miniature.pretraining.random_compression import compressed, whole
from videorouter.miniature.pretraining.recipe import Recipe, train_base
from videorouter.miniature.pretraining.vision import encode, random_scene
from videorouter.miniature.world.frame import PLACE_NAMES, cell_of
from videorouter.miniature.world.questions import ask
from videorouter.miniature.world.render import render_scene
from videorouter.miniature.world.scenes import write_script
from videorouter.miniature.world.wordings import KINDS, say
from videorouter.routers.backbones.internvl import InternVLBackbone
from videorouter.routers.backbones.protocol import FrameSpan
from videorouter.routers.checkpoints.base_identity import weights_hash
from videorouter.routers.routing.pooling import pool_frames

TINY = Recipe(
    sight_steps=2,
    sight_pictures=4,
    pictures_per_look=1,
    dense=[Course(1, 3, videos=2, lessons=4, drills=0.5, steps=2, rate=1e-3)],
    robust=[Course(8, 8, videos=1, lessons=4, drills=0.5, steps=2, rate=1e-3)],
    examined=1,
)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer()


@pytest.fixture(scope="module")
def model(tokenizer: PreTrainedTokenizerFast) -> InternVLForConditionalGeneration:
    torch.manual_seed(0)
    made = new_model(tokenizer).eval()
    return made


@pytest.fixture(scope="module")
def bank(model: InternVLForConditionalGeneration) -> SceneBank:
    return build_scene_bank(model, Random(0), Progress(disable=True), pictures_per_look=1)


def some_lessons(bank: SceneBank, frames: int, seed: int) -> tuple[LessonVideo, list[Lesson]]:
    random = Random(seed)
    video = draw_video(random, bank, frames)
    return video, list(lessons(random, video, 30, drills=0.7))


def test_glyphs_that_change_places_within_a_pooled_cell_leave_its_token_as_it_was(
    model: InternVLForConditionalGeneration,
) -> None:
    scene = random_scene(Random(3))
    first, second = (PLACE_NAMES.index(name) for name in ("top left corner", "left part of the top edge"))
    glyphs = list(scene.glyphs)
    glyphs[first], glyphs[second] = glyphs[second], glyphs[first]
    frames = np.stack([next(iter(render_scene(s, 1))) for s in (scene, replace(scene, glyphs=tuple(glyphs)))])
    with torch.no_grad():
        tokens = encode(model, frames)
    pooled = pool_frames(tokens, 4, (4, 4))
    assert not torch.allclose(tokens[0, 0], tokens[1, 0], atol=1e-2)
    assert torch.allclose(pooled[0], pooled[1], atol=1e-4)


@pytest.mark.parametrize("frames", [1, 2, 5, 16, 64])
def test_lessons_of_any_length_of_video_are_true(bank: SceneBank, frames: int) -> None:
    video, asked = some_lessons(bank, frames, seed=frames)
    assert len(video.pictures) == len(video.scene_of) == frames
    scenes = video.script.scenes
    for lesson in asked:
        if lesson.kind in ("describe", "locate"):
            shown = scenes[video.scene_of[lesson.pointers[0].frames[0]]]
            assert lesson.answer[0][0] == f"{shown.colour} {shown.shape}, {shown.background}"
            for (given, _), (sought, _) in zip(lesson.answer[1::2], lesson.answer[2::2], strict=True):
                pair = {given.strip(", :"), sought.strip()}
                assert any(pair == {place, shown.glyph_at(place)} for place in PLACE_NAMES)
        if lesson.kind == "present":
            assert (lesson.answer[0][0] == "yes") == bool(lesson.pointers[0].frames)
        if lesson.kind in ("pick", "recite"):
            for piece, option in lesson.choices:
                assert lesson.answer[piece][0] == "ABCDEFGH"[option]


def test_pointers_of_glyph_questions_point_at_the_answer(bank: SceneBank) -> None:
    video, asked = some_lessons(bank, 64, seed=1)
    for lesson in asked:
        if lesson.kind == "open glyph_by_shape":
            pointer = lesson.pointers[0]
            for frame in pointer.frames:
                scene = video.script.scenes[video.scene_of[frame]]
                (place,) = [place for place in PLACE_NAMES if cell_of(place) == pointer.cell]
                assert scene.glyph_at(place) == lesson.answer[0][0]


def test_rephrased_questions_keep_their_slots_and_are_not_the_held_out_wordings() -> None:
    random = Random(5)
    questions = ask(write_script(random, 480, 8), random, "train", 12)
    for question in questions * 20:
        text = rephrased(random, question)
        assert all(value in text for value in question.intent.slots.values())
        assert text not in {say(template, question.intent.slots) for template in KINDS[question.intent.kind].held_out}


def test_the_layout_is_the_backbones_prompt(base: Path, bank: SceneBank) -> None:
    backbone = InternVLBackbone(str(base))
    _, asked = some_lessons(bank, 5, seed=2)
    learner = course_on(backbone.model, train_tokenizer(), bank)
    frames = whole(bank.frames([0, 1, 2, 3, 4]))
    packed = learner.packer.pack(frames, asked)
    for number, lesson in enumerate(asked):
        prompt = backbone.prompt_text([FrameSpan(frame, 16) for frame in range(5)], lesson.text)
        ids = backbone.tokenizer(prompt, add_special_tokens=False).input_ids
        assert [*packed.frames.tolist(), *packed.lessons[number].tolist()][: len(ids)] == ids


def test_lessons_that_continue_from_shared_frames_read_and_attend_as_one_prompt_would(
    model: InternVLForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, bank: SceneBank
) -> None:
    plain = deepcopy(model.model.language_model)
    plain.set_attn_implementation("eager")
    learner = course_on(model, tokenizer, bank)
    drawn = [learner.draw(Course(3, 3, videos=1, lessons=5, drills=0.5, steps=1, rate=0.0), 3) for _ in range(2)]
    with torch.no_grad():
        read = learner._read(drawn)
        for row, one in enumerate(drawn):
            before = len(one.packed.frames)
            for number, lesson in enumerate(one.packed.lessons):
                embeddings = plain.embed_tokens(torch.cat([one.packed.frames, lesson]))
                embeddings[one.packed.visual] = torch.cat([frame.embeddings for frame in one.fed])
                alone = plain(inputs_embeds=embeddings[None], output_attentions=True)
                states = alone.last_hidden_state[0, before:]
                apart = (states - read.said[row, number, : len(lesson)]).abs().max()
                assert apart < 0.05 * states.abs().max()  # bfloat16 under autocast
                positions = torch.arange(len(lesson))
                for layer, head in ((LOOKING_LAYER, COUNTING_HEAD), (CHOOSING_LAYER, 0)):
                    weights = read.lessons.weights(layer, head, row, positions, torch.full_like(positions, number))
                    expected = alone.attentions[layer][0, head, before:]
                    assert (weights[:, : expected.shape[1]] - expected).abs().max() < 0.05
                recalled = read.frames.weights(RECALLING_LAYER, 0, row, one.packed.ends)
                expected = alone.attentions[RECALLING_LAYER][0, 0, one.packed.ends, :before]
                assert (recalled - expected).abs().max() < 0.05


def test_compressed_frames_know_which_cells_they_cover(bank: SceneBank) -> None:
    tokens = bank.frames(list(range(64)))
    seen_scales = set()
    for seed in range(60):
        torch.manual_seed(seed)
        kept = compressed(Random(seed), tokens)
        assert [frame.frame for frame in kept] == sorted({frame.frame for frame in kept})
        for frame in kept:
            assert 1 <= frame.tokens == len(frame.covers) <= 16
            (size,) = set(frame.covers.sum(1).tolist())
            seen_scales.add(size)
            mean = tokens[frame.frame][frame.covers[0]].mean(0)
            assert torch.allclose(mean, frame.embeddings[0], atol=1e-5)
    assert seen_scales == {1, 2, 4, 8}


def test_a_spotlit_video_shows_whole_scenes_in_full_and_the_rest_at_one_coarse_scale(bank: SceneBank) -> None:
    shares = []
    for seed in range(40):
        video = draw_video(Random(seed), bank, 64)
        kept = compressed(Random(seed), bank.frames(list(video.pictures)), video.scene_of, spotlit=1.0)
        assert [frame.frame for frame in kept] == list(range(64))
        tokens = [frame.tokens for frame in kept]
        for number in set(video.scene_of):
            assert len({n for n, scene in zip(tokens, video.scene_of, strict=True) if scene == number}) == 1
        assert len(set(tokens) - {16}) == 1
        assert set(tokens) <= {16, 4, 2}
        shares.append(tokens.count(16) / 64)
    assert 0.1 < sum(shares) / len(shares) < 0.3
    assert min(shares) < 0.06


def test_cells_are_guided_among_frames_of_different_lengths_alone(
    model: InternVLForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, bank: SceneBank
) -> None:
    learner = course_on(model, tokenizer, bank)
    course = Course(8, 8, videos=1, lessons=4, drills=0.5, steps=1, rate=0.0)
    whole_frames, _ = learner.losses([learner.draw(course, 8)])
    learner.robust = True
    spotlit = [learner.draw(replace(course, spotlit=1.0), 8) for _ in range(12)]
    mixed = [one for one in spotlit if len({frame.tokens for frame in one.fed}) == 2]
    assert mixed
    for one in mixed:
        losses, _ = learner.losses([one])
        assert "cell" in losses.keys() - whole_frames.keys()
        head = learner.heads.cell_head
        with torch.no_grad():
            head.weight.zero_()  # the bias alone does hardly more than guess
            blind, _ = learner.losses([one])
        assert abs(blind["cell"].item() - np.log(16)) < 0.5


def test_a_learner_that_is_shown_the_same_lessons_gets_better(
    tokenizer: PreTrainedTokenizerFast, bank: SceneBank
) -> None:
    torch.manual_seed(1)
    model = new_model(tokenizer)
    learner = course_on(model, tokenizer, bank)
    one = learner.draw(Course(2, 2, videos=1, lessons=6, drills=1.0, steps=1, rate=0.0), 2)
    optimizer = torch.optim.AdamW([*model.parameters(), *learner.heads.parameters()], lr=1e-3)
    history = []
    for _ in range(12):
        losses, _ = learner.losses([one])
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        history.append({name: loss.item() for name, loss in losses.items()})
    assert history[-1]["answer"] < 0.7 * history[0]["answer"]
    assert history[-1]["look"] < history[0]["look"]


@pytest.mark.slow
def test_an_interrupted_training_goes_on_after_its_last_part_with_the_same_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    train_base(unbroken, TINY, device="cpu")
    train = recipe.train_language

    def interrupted(learner: LanguageLearner, course: Course, progress: Progress, name: str) -> list[dict[str, float]]:
        if name == "robust 1":
            raise KeyboardInterrupt
        return train(learner, course, progress, name)

    monkeypatch.setattr(recipe, "train_language", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_base(broken, TINY, device="cpu")
    monkeypatch.undo()
    train_base(broken, TINY, device="cpu")
    assert list(json.loads((broken / "training.json").read_text())["parts"]) == ["sight", "dense 1", "robust 1"]
    for name in ("dense", "robust"):
        assert weights_hash(unbroken / name) == weights_hash(broken / name)
    with pytest.raises(FileExistsError, match="already holds both bases"):
        train_base(broken, TINY, device="cpu")
    (broken / "robust" / "config.json").unlink()
    with pytest.raises(ValueError, match="another recipe"):
        train_base(broken, replace(TINY, seed=1), device="cpu")


def course_on(
    model: InternVLForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, bank: SceneBank
) -> LanguageLearner:
    heads = AuxiliaryHeads(model.lm_head.in_features)
    return LanguageLearner(model, tokenizer, bank, heads, Random(4), robust=False)
