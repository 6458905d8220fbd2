"""A second question about a video reads none of its frames again, and is told the same."""

import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import DynamicCache

from tests.routers.tiny_backbones import SQUARE, video, write_tiny
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.backbones.loading import load_backbone
from videorouter.routers.backbones.protocol import Backbone
from videorouter.routers.backbones.shadow import ShadowWeights
from videorouter.routers.routing.options import RoutingOptions
from videorouter.routers.routing.routers import ImageRouter, SemanticRouter
from videorouter.routers.systems.query import Query
from videorouter.routers.systems.remembered_states import RememberedStates
from videorouter.routers.systems.videorouter import RoutedCompression

FAMILIES = ["internvl", "llava_onevision", "qwen2_5_vl", "qwen3_vl"]
FRAMES, LAYERS, QUESTIONS = 8, 3, ("What is shown at first?", "Who?", "What is shown at first?")


@pytest.fixture(scope="module", params=[(name, torch.float32) for name in FAMILIES] + [("qwen3_vl", torch.bfloat16)])
def backbone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    family, dtype = request.param
    folder = write_tiny(tmp_path_factory.mktemp(family) / "model", family)
    return load_backbone(str(folder), device="cpu", dtype=dtype, **SQUARE.get(family, {}))


def image_router(backbone: Backbone, own_weights: bool = False) -> ImageRouter:
    """With a head drawn at random."""
    torch.manual_seed(0)
    router = ImageRouter(backbone.shadow_stack(LAYERS, own_weights), backbone.hidden_size)
    return router.to(router.shadow.dtype).eval()


def routed(backbone: Backbone, image: ImageRouter, **options: Any) -> RoutedCompression:
    """Under `fragment`, which reads frames."""
    semantic = SemanticRouter(image.shadow, backbone.hidden_size)
    return RoutedCompression(backbone, semantic, image, policy="fragment", options=RoutingOptions(**options))


def relevance(system: RoutedCompression, tokens: Tensor, question: str, states: RememberedStates | None) -> Tensor:
    scores = system.route(tokens, Query(question, states=states))[1]
    assert scores is not None
    return scores


@contextmanager
def tokens_read(image: ImageRouter) -> Iterator[list[int]]:
    """Tokens in each pass of the shadow stack."""
    read: list[int] = []

    def count(stack: nn.Module, args: Any, given: dict[str, Any]) -> None:
        frames, tokens, _ = given["inputs_embeds"].shape
        read.append(frames * tokens)

    hook = image.shadow.stack.register_forward_pre_hook(count, with_kwargs=True)
    try:
        yield read
    finally:
        hook.remove()


def layers_of(cache: DynamicCache) -> list[Any]:
    return list(cache.layers)


@pytest.mark.parametrize("options", [{}, {"router_scale": 4}, {"smoothing": 2, "router_scale": 2}])
@pytest.mark.parametrize("own_weights", [False, True])
def test_every_question_is_told_what_it_would_be_told_alone(
    backbone: Backbone, own_weights: bool, options: dict[str, int]
) -> None:
    tokens, states = backbone.encode_frames(video(FRAMES)), RememberedStates()
    system = routed(backbone, image_router(backbone, own_weights), **options)
    for question in QUESTIONS:
        alone = relevance(system, tokens, question, None)
        assert torch.equal(relevance(system, tokens, question, states), alone)
        assert float(alone.max()) - float(alone.min()) > 1e-4


def test_a_second_question_reads_no_frame(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("videorouter.routers.routing.routers.TOKENS_AT_ONCE", 3 * backbone.tokens_per_frame)
    tokens, states, image = backbone.encode_frames(video(FRAMES)), RememberedStates(), image_router(backbone)
    system, frames = routed(backbone, image), len(tokens)
    asked = [frames * len(backbone.embed_text(question)) for question in QUESTIONS]
    with tokens_read(image) as read:
        relevance(system, tokens, QUESTIONS[0], states)
        assert sum(read) == tokens.shape[1] * frames + asked[0]
        assert max(read) <= 3 * tokens.shape[1]
        for question, its_own in zip(QUESTIONS[1:], asked[1:], strict=True):
            read.clear()
            relevance(system, tokens, question, states)
            assert sum(read) == its_own
        read.clear()
        relevance(system, tokens, QUESTIONS[1], None)
        assert sum(read) == tokens.shape[1] * frames + asked[1]


def test_a_long_question_is_asked_of_fewer_frames_at_once(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    """As frames that were read together may be more than a question may follow at once; what it is told stays the same."""
    tokens, image = backbone.encode_frames(video(FRAMES)), image_router(backbone)
    system, question = routed(backbone, image), "What is shown? " * 12
    length = len(backbone.embed_text(question))
    together = relevance(system, tokens, question, None)
    most = max(3 * length, len(tokens) * tokens.shape[1])
    monkeypatch.setattr("videorouter.routers.routing.routers.TOKENS_AT_ONCE", most)
    for states in (None, RememberedStates()):
        with tokens_read(image) as read:
            apart = relevance(system, tokens, question, states)
        assert max(read) <= most < len(tokens) * length
        assert read[0] == len(tokens) * tokens.shape[1], "frames are read together as before"
        torch.testing.assert_close(apart, together, atol=2e-2 if image.shadow.dtype == torch.bfloat16 else 1e-5, rtol=0)


def test_states_take_the_bytes_that_were_foretold(backbone: Backbone) -> None:
    tokens, image = backbone.encode_frames(video(FRAMES))[..., : backbone.hidden_size], image_router(backbone)
    states = image.frame_states(tokens, frames_at_once=3)
    storages = {
        part.untyped_storage().data_ptr(): part.untyped_storage().nbytes()
        for chunk in states.chunks
        for part in (chunk.means, *(part for layer in layers_of(chunk.cache) for part in (layer.keys, layer.values)))
    }
    assert states.nbytes == sum(storages.values()) == image.bytes_of_states(tokens)


def test_states_beyond_the_limit_are_not_kept(backbone: Backbone) -> None:
    tokens, image = backbone.encode_frames(video(FRAMES)), image_router(backbone)
    system, coarse = routed(backbone, image), routed(backbone, image, router_scale=4)
    needed = image.bytes_of_states(tokens[..., : backbone.hidden_size])
    expected = relevance(system, tokens, "Who?", None)
    for most, kept in ((0, 0), (needed - 1, 0), (needed, needed), (None, needed)):
        states = RememberedStates(most)
        for _ in range(2):
            with tokens_read(image) as read:
                assert torch.equal(relevance(system, tokens, "Who?", states), expected)
            assert states.nbytes == kept
        assert (read[0] == tokens.shape[0] * tokens.shape[1]) is (kept == 0)
        relevance(coarse, tokens, "Who?", states)
        assert (states.nbytes > kept) is (most in (None, needed - 1)), "of both scales together"
    with pytest.raises(ValueError, match="most_bytes is -1"):
        RememberedStates(-1)


class StoppedError(Exception):
    """What ends a question in the middle of the layers."""


def test_a_question_that_fails_half_way_leaves_the_states_as_they_were(backbone: Backbone) -> None:
    tokens, states, image = backbone.encode_frames(video(FRAMES)), RememberedStates(), image_router(backbone)
    system = routed(backbone, image)
    expected = relevance(system, tokens, "Who?", states)
    before = states.nbytes
    layers: Any = image.shadow.stack.layers

    def stop(*_: Any) -> None:
        raise StoppedError

    hook = layers[-1].register_forward_pre_hook(stop)  # the layers before it have put the question into their caches
    with pytest.raises(StoppedError):
        relevance(system, tokens, "What is shown at first?", states)
    with pytest.raises(StoppedError):
        relevance(system, tokens, "Who?", fresh := RememberedStates())
    hook.remove()
    assert (states.nbytes, fresh.nbytes) == (before, 0)
    assert torch.equal(relevance(system, tokens, "Who?", states), expected)


def test_a_cache_that_questions_continue_from_does_not_grow(backbone: Backbone) -> None:
    shadow = backbone.shadow_stack(2)
    with torch.no_grad():
        _, cache = shadow.frames(backbone.encode_frames(video(2))[..., : backbone.hidden_size])
        length, kept = cache.get_seq_length(), [(layer.keys, layer.values) for layer in layers_of(cache)]
        shadow.question_after_frames(backbone.embed_text("Who?"), cache, len(kept[0][0]))
    assert cache.get_seq_length() == length
    assert all(
        layer.keys is keys and layer.values is values
        for layer, (keys, values) in zip(layers_of(cache), kept, strict=True)
    )


def test_threads_may_ask_at_once(backbone: Backbone) -> None:
    tokens, image = backbone.encode_frames(video(FRAMES))[..., : backbone.hidden_size], image_router(backbone)
    states = image.frame_states(tokens)
    questions = [backbone.embed_text(f"Is {number} shown?" * (1 + number % 3)) for number in range(12)]

    @torch.no_grad()
    def ask(question: Tensor) -> Tensor:
        return image(tokens, [question], states)

    alone = [ask(question) for question in questions]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(ask, questions))
    assert all(map(torch.equal, alone, together))


def test_states_of_other_frames_are_refused(backbone: Backbone) -> None:
    tokens, image = backbone.encode_frames(video(FRAMES))[..., : backbone.hidden_size], image_router(backbone)
    states, question = image.frame_states(tokens), backbone.embed_text("Who?")
    for other in (tokens[1:], tokens[:, 1:]):
        with pytest.raises(ValueError, match="cannot serve a video of"):
            image(other, [question], states)


def test_routers_keep_their_states_apart_and_take_them_along(backbone: Backbone) -> None:
    tokens, states = backbone.encode_frames(video(FRAMES)), RememberedStates()
    first, second = image_router(backbone), image_router(backbone, own_weights=True)
    with torch.no_grad():
        for parameter in second.shadow.parameters():
            parameter.mul_(1.1)
    for image in (first, second):
        system = routed(backbone, image)
        assert torch.equal(relevance(system, tokens, "Who?", states), relevance(system, tokens, "Who?", None))
    both = states.nbytes
    del image, system, second, parameter
    gc.collect()
    assert 2 * states.nbytes == both


def test_weights_that_learn_are_never_remembered(backbone: Backbone) -> None:
    tokens, states, image = backbone.encode_frames(video(FRAMES)), RememberedStates(), image_router(backbone)
    ShadowWeights("lora", rank=2).put_into(image.shadow)
    system = routed(backbone, image.train())
    relevance(system, tokens, "Who?", states)
    assert states.nbytes == 0
    system.image.eval()
    relevance(system, tokens, "Who?", states)
    assert states.nbytes == image.bytes_of_states(tokens[..., : backbone.hidden_size])
    assert not any(
        chunk.means.requires_grad for chunk in image.frame_states(tokens[..., : backbone.hidden_size]).chunks
    )


def test_nothing_is_remembered_of_frames_screened_small(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "model", "internvl", vision={"use_absolute_position_embeddings": True})
    tiny, states, frames = load_backbone(str(folder), device="cpu"), RememberedStates(), video(FRAMES)
    system = routed(tiny, image_router(tiny), screen_side=56)
    kept = system.compress(tiny.encode_frames(frames), Query("Who?", frames=frames, states=states), 64)
    assert kept.relevance is not None
    assert states.nbytes == 0


def test_states_kept_elsewhere_say_where_they_belong_and_leave_the_first_as_they_were(backbone: Backbone) -> None:
    tokens, image = backbone.encode_frames(video(FRAMES))[..., : backbone.hidden_size], image_router(backbone)
    states, question = image.frame_states(tokens, 3), backbone.embed_text("Who?")
    with torch.no_grad():
        expected = image(tokens, [question], states)
        moved = states.to(torch.device("meta"))
        layers = [layer for chunk in moved.chunks for layer in layers_of(chunk.cache)]
        assert {layer.keys.device.type for layer in layers} == {"meta"}
        assert {layer.device for layer in layers} == {torch.device("cpu")}
        assert moved.nbytes == states.nbytes
        assert torch.equal(image(tokens, [question], states), expected)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@torch.no_grad()
def test_states_in_main_memory_take_none_of_the_gpu_between_questions(backbone: Backbone) -> None:
    image = image_router(backbone, own_weights=True).to("cuda")
    tokens = backbone.encode_frames(video(FRAMES))[..., : backbone.hidden_size].to("cuda")
    questions = [backbone.embed_text(question).to("cuda") for question in QUESTIONS]
    expected = [image(tokens, [question]) for question in questions]
    before = torch.cuda.memory_allocated()
    states = image.frame_states(tokens, 3, device=torch.device("cpu"))
    for question, alone in zip(questions, expected, strict=True):
        assert torch.cuda.memory_allocated() == before
        torch.testing.assert_close(image(tokens, [question], states), alone)


def test_a_watched_video_remembers_where_it_is_asked_to(world: Path, router: Path) -> None:
    loaded = VideoRouter.from_pretrained(router)
    plain = loaded.watch(sorted((world / "videos").iterdir())[0], frames=FRAMES)
    assert plain.query("Who?").states is None
    assert plain.nbytes == plain.sampled.frames.nbytes + plain.all_tokens.nbytes
    watched = plain.remembering()
    assert watched.nbytes == plain.nbytes
    for question in ("Which colour is shown?", "Where is the symbol K?"):
        alone, again = (loaded.answer(one, question, budget=64, policy="fragment") for one in (plain, watched))
        assert (again.text, again.relevance, again.tokens_by_frame) == (
            alone.text,
            alone.relevance,
            alone.tokens_by_frame,
        )
    assert watched.states is not None
    states = watched.states.nbytes
    assert watched.nbytes - plain.nbytes == states == loaded.image.bytes_of_states(plain.all_tokens)
    with tokens_read(loaded.image) as read:
        for system in ("videorouter(policy=fragment)", "fca+videorouter(policy=fragment)"):
            loaded.system(system).compress(watched.all_tokens, watched.query("Who?"), 64)
    assert read == [FRAMES * len(loaded.backbone.embed_text("Who?"))] * 2
    assert watched.remembering().nbytes == plain.nbytes
    assert replace(watched, states=None).query("Who?").states is None


def test_quantised_matrices_do_not_say_how_layers_compute(base: Path) -> None:
    shadow = load_backbone(str(base), device="cpu").shadow_stack(2, own_weights=True)
    told, layers = shadow.bytes_a_token, shadow.stack.layers
    layers[0].self_attn.q_proj.weight = nn.Parameter(torch.zeros(8, dtype=torch.uint8), requires_grad=False)  # type: ignore[index, union-attr]
    assert (shadow.dtype, shadow.bytes_a_token) == (torch.float32, told)
