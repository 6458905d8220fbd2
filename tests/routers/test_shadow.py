"""The shadow stack is the first k layers of the model, bit for bit, and sharing image states changes nothing."""

from pathlib import Path

import pytest
import torch

from videorouter.routers.backbones.internvl import InternVLBackbone
from videorouter.routers.backbones.loading import load_backbone
from videorouter.routers.routing.routers import ImageRouter


@pytest.fixture(scope="module")
def backbone(base: Path) -> InternVLBackbone:
    loaded = load_backbone(str(base))
    assert isinstance(loaded, InternVLBackbone)
    return loaded


@torch.no_grad()
def test_it_equals_the_hidden_states_after_k_layers(backbone: InternVLBackbone) -> None:
    words = backbone.embed_text("Which symbol is at the top left corner?").unsqueeze(0)
    states = backbone.model.model.language_model(inputs_embeds=words, output_hidden_states=True).hidden_states
    for layers in (1, 4):
        assert torch.equal(backbone.shadow_stack(layers).text(words), states[layers])


@torch.no_grad()
def test_questions_that_share_image_states_see_what_they_would_see_alone(backbone: InternVLBackbone) -> None:
    shadow = backbone.shadow_stack(4)
    tokens = torch.randn(3, 16, backbone.hidden_size)
    questions = [backbone.embed_text(text) for text in ("Where is the symbol K?", "How many scenes show the red ring?")]
    image, cache = shadow.frames(tokens)
    for question in questions:
        shared = shadow.question_after_frames(question, cache, 3)
        whole = shadow.text(torch.cat([tokens, question.expand(3, *question.shape)], dim=1))
        torch.testing.assert_close(shared, whole[:, 16:], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(image, whole[:, :16], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_scores_do_not_depend_on_how_frames_are_chunked(backbone: InternVLBackbone) -> None:
    router = ImageRouter(backbone.shadow_stack(2), backbone.hidden_size)
    tokens, question = torch.randn(7, 16, backbone.hidden_size), backbone.embed_text("What is shown?")
    torch.testing.assert_close(router.features(tokens, [question], 2), router.features(tokens, [question], 64))


def test_more_layers_than_there_are_is_refused(backbone: InternVLBackbone) -> None:
    with pytest.raises(ValueError, match="has 6"):
        backbone.shadow_stack(7)


def test_it_takes_no_memory_beside_the_model(backbone: InternVLBackbone) -> None:
    of_model = {parameter.data_ptr() for parameter in backbone.model.model.language_model.layers.parameters()}
    assert {parameter.data_ptr() for parameter in backbone.shadow_stack(4).parameters()} <= of_model


def test_its_own_weights_are_apart_from_the_models(backbone: InternVLBackbone) -> None:
    shadow = backbone.shadow_stack(1, own_weights=True)
    before = next(iter(backbone.model.model.language_model.layers[0].parameters())).clone()
    with torch.no_grad():
        for parameter in shadow.parameters():
            parameter.add_(1.0)
    assert torch.equal(before, next(iter(backbone.model.model.language_model.layers[0].parameters())))
