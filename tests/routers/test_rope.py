"""Under dynamic rope a prompt has one answer, whatever came before it, stands beside it, or shares its beginning."""

from typing import Any

import pytest
import torch

from tests.routers.tiny_backbones import all_kept, video, write_tiny
from videorouter.routers.backbones.loading import load_backbone
from videorouter.routers.backbones.native import cast_weights
from videorouter.routers.backbones.prompt import Prompt, SharedPrefix

LIMIT = 96
DYNAMIC = {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10_000.0}


@pytest.fixture(scope="module", params=["qwen2", "llama"])
def backbone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp(request.param) / "model"
    text = {"rope_parameters": DYNAMIC, "max_position_embeddings": LIMIT}
    return load_backbone(str(write_tiny(folder, "internvl", request.param, text=text)), device="cpu")


@pytest.fixture(scope="module")
def prompts(backbone: Any) -> dict[str, Prompt]:
    """Of 2 frames and questions that make prompts below, at and beyond the limit, and another far beyond."""
    tokens = all_kept(backbone.encode_frames(video(2)))
    around = len(backbone.embed_prompt(tokens, "x")) - 1
    lengths = {"below": LIMIT - 8, "at": LIMIT, "beyond": LIMIT + 9, "far": LIMIT + 120}
    made = {name: backbone.embed_prompt(tokens, "x" * (length - around)) for name, length in lengths.items()}
    assert {name: len(prompt) for name, prompt in made.items()} == lengths
    return made


@torch.no_grad()
def fresh(backbone: Any, prompt: Prompt) -> torch.Tensor:
    """What a model that was just loaded says of the whole prompt: transformers' own rotary embedding, never used before."""
    language: Any = backbone.model.model.language_model
    own, language.rotary_emb = language.rotary_emb, type(language)(language.config).rotary_emb
    try:
        states = language(inputs_embeds=prompt.embeddings, use_cache=False).last_hidden_state
    finally:
        language.rotary_emb = own
    return backbone.model.lm_head(states[:, -1])[0]


WHERE = ("below", "at", "beyond")


@pytest.mark.parametrize("where", WHERE)
def test_alone_and_after_a_longer_one(backbone: Any, prompts: dict[str, Prompt], where: str) -> None:
    expected = fresh(backbone, prompts[where])
    torch.testing.assert_close(backbone.next_token_logits(prompts[where]), expected, atol=1e-4, rtol=0)
    backbone.next_token_logits(prompts["far"])
    torch.testing.assert_close(backbone.next_token_logits(prompts[where]), expected, atol=1e-4, rtol=0)
    assert float((fresh(backbone, prompts["beyond"]) - fresh(backbone, prompts["far"])).abs().max()) > 0.1


def logits_of(backbone: Any, prompts: list[Prompt], tokens: int) -> tuple[list[torch.Tensor], list[str]]:
    """Of every prompt the logits `[tokens, V]` that its tokens were chosen by, decoded together, and the texts."""
    seen: list[torch.Tensor] = []
    handle = backbone.model.lm_head.register_forward_hook(lambda module, given, made: seen.append(made.flatten(0, -2)))
    try:
        texts = [made.text for made in backbone.generate_together(prompts, tokens)]
    finally:
        handle.remove()
    count = len(prompts)  # prefills one by one, then a row each
    return [torch.stack([seen[row][0], *(later[row] for later in seen[count:])]) for row in range(count)], texts


@pytest.mark.parametrize("where", WHERE)
def test_beside_a_longer_one(
    backbone: Any, prompts: dict[str, Prompt], where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every token's logits, those of a batch padded to the longest included."""
    monkeypatch.setattr(backbone, "_ends", set)  # nobody ends before the others
    (alone,), (text,) = logits_of(backbone, [prompts[where]], 6)
    torch.testing.assert_close(alone[0], fresh(backbone, prompts[where]), atol=1e-4, rtol=0)
    for place, company in ((0, (where, "far")), (1, ("far", where, "at"))):
        together, texts = logits_of(backbone, [prompts[name] for name in company], 6)
        torch.testing.assert_close(together[place], alone, atol=1e-4, rtol=0)
        assert texts[place] == text


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("before", ["below", "at", "beyond", "far"])
def test_from_a_shared_prefix(backbone: Any, prompts: dict[str, Prompt], where: str, before: str) -> None:
    shared = SharedPrefix()
    backbone.next_token_logits(prompts[before], shared=shared)
    made = backbone.next_token_logits(prompts[where], shared=shared)
    torch.testing.assert_close(made, fresh(backbone, prompts[where]), atol=1e-4, rtol=0)


@torch.no_grad()
def test_decoding_keeps_the_frequencies_of_the_prompt(backbone: Any, prompts: dict[str, Prompt]) -> None:
    """Every token from one pass over all that is there, rotated as the prompt is."""
    language: Any = backbone.model.model.language_model
    for where in WHERE:
        prompt, ids = prompts[where], []
        longer = prompt
        for _ in range(12):
            language.rotary_emb.lengths = [len(prompt)]
            states = language(inputs_embeds=longer.embeddings, use_cache=False).last_hidden_state
            language.rotary_emb.lengths = None
            ids.append(int(backbone.model.lm_head(states[:, -1]).argmax()))
            longer = longer.followed_by(backbone.embed_ids(torch.tensor(ids[-1:])))
        text = backbone.tokenizer.decode(ids, skip_special_tokens=True).strip()
        assert backbone.generate(prompt, 12).text == text


def test_below_the_limit_text_is_that_of_generate(backbone: Any, prompts: dict[str, Prompt]) -> None:
    made = backbone.model.generate(inputs_embeds=prompts["below"].embeddings, max_new_tokens=6, do_sample=False)
    text = backbone.tokenizer.decode(made[0], skip_special_tokens=True).strip()
    assert backbone.generate(prompts["below"], 6).text == text


def test_a_prompt_beyond_the_positions_is_said_once_and_one_beyond_scaling_refused(
    backbone: Any, prompts: dict[str, Prompt], caplog: pytest.LogCaptureFixture
) -> None:
    backbone._told = False
    for _ in range(2):
        backbone.next_token_logits(prompts["beyond"])
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert told == [
        f"the prompt takes 105 positions and {backbone.path} was made for 96: its rotary frequencies are rescaled for it"
    ]
    tokens = all_kept(backbone.encode_frames(video(2)))
    too_long = backbone.embed_prompt(tokens, "x" * 4 * LIMIT)
    for use in (
        lambda: backbone.next_token_logits(too_long),
        lambda: backbone.generate(too_long, 1),
        lambda: backbone.generate_together([too_long], 1),
        lambda: backbone.inspect(too_long, 1, 1),
    ):
        with pytest.raises(ValueError, match=r"made for 96.*, 384 with scaling: take fewer frames.*--long_prompts"):
            use()
    allowed: Any = load_backbone(backbone.path, device="cpu", long_prompts=True)
    torch.testing.assert_close(allowed.next_token_logits(too_long), fresh(backbone, too_long), atol=1e-4, rtol=0)


def test_another_precision_of_weights_leaves_computed_frequencies_as_they_are(tmp_path: Any) -> None:
    backbone: Any = load_backbone(str(write_tiny(tmp_path / "model", "qwen2_5_vl")), device="cpu")
    rotary = [module for name, module in backbone.model.named_modules() if hasattr(module, "inv_freq")]
    before = [module.inv_freq.clone() for module in rotary]
    cast_weights(backbone.model, torch.bfloat16)
    assert rotary
    assert {weight.dtype for weight in backbone.model.parameters()} == {torch.bfloat16}
    for module, frequencies in zip(rotary, before, strict=True):
        assert torch.equal(module.inv_freq, frequencies)
