"""A prompt is written as the model's own processor writes it: first token, template, label of frames, what the system says."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import processors

from tests.routers.tiny_backbones import SQUARE, TEMPLATE, all_kept, tiny_tokenizer, video, write_tiny
from videorouter.routers.backbones.layout import chat_prompt
from videorouter.routers.backbones.loading import load_backbone

PARTS_ALONE = (
    "{% for message in messages %}[{{ message.role }}]{% for part in message.content %}{{ part.text }}{% endfor %}"
    "{% endfor %}[assistant]"
)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("plain") / "model", "internvl")


def beginning_with_bos(template: str) -> Any:
    """As Llama's and InternLM's: texts begin with `<s>` unless they are told not to."""
    tokenizer: Any = tiny_tokenizer()
    tokenizer.add_special_tokens({"bos_token": "<s>"})
    number = tokenizer.convert_tokens_to_ids("<s>")
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", number)]
    )
    tokenizer.chat_template = template
    return tokenizer


@pytest.mark.parametrize("template", [TEMPLATE, "{{ bos_token }}" + TEMPLATE], ids=["added", "written"])
def test_a_prompt_begins_with_one_bos_where_the_tokenizer_begins_texts_so(tmp_path: Path, template: str) -> None:
    backbone: Any = load_backbone(
        str(write_tiny(tmp_path / "model", "internvl", "llama", beginning_with_bos(template))), device="cpu"
    )
    begin = backbone.embed_ids(torch.tensor([backbone.tokenizer.bos_token_id]))
    for embeddings in (
        backbone.embed_prompt(all_kept(backbone.encode_frames(video(2))), "Why?").embeddings[0],
        backbone.embed_message("Why?"),
    ):
        starts = [place for place, row in enumerate(embeddings) if torch.equal(row, begin[0])]
        assert starts == [0]
    assert len(backbone.embed_text("Why?")) == 4  # routers read a question, which is no whole text


def test_a_tokenizer_without_bos_adds_none(plain: Path) -> None:
    backbone: Any = load_backbone(str(plain), device="cpu")
    prompt = chat_prompt(backbone.tokenizer, "Why?")
    assert len(backbone.embed_message("Why?")) == len(backbone.tokenizer(prompt, add_special_tokens=False).input_ids)


def with_files(plain: Path, out: Path, files: dict[str, Any]) -> str:
    shutil.copytree(plain, out)
    for name, content in files.items():
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return str(out)


@pytest.mark.parametrize(
    ("files", "begins"),
    [
        ({}, "<|im_start|>user"),
        ({"chat_template.jinja": PARTS_ALONE}, "[user]"),
        ({"chat_template.json": {"chat_template": PARTS_ALONE}}, "[user]"),
        ({"chat_template.json": {"chat_template": PARTS_ALONE}, "chat_template.jinja": TEMPLATE}, "[user]"),
        ({"processor_config.json": {"chat_template": PARTS_ALONE}}, "[user]"),
        (
            {
                "processor_config.json": {"chat_template": PARTS_ALONE},
                "chat_template.json": {"chat_template": TEMPLATE},
            },
            "[user]",
        ),
    ],
)
def test_the_processors_template_goes_before_the_tokenizers(
    plain: Path, tmp_path: Path, files: dict[str, Any], begins: str
) -> None:
    backbone: Any = load_backbone(with_files(plain, tmp_path / "model", files), device="cpu")
    assert chat_prompt(backbone.tokenizer, "Why?").startswith(begins)


def test_template_files_that_contradict_each_other_are_refused(plain: Path, tmp_path: Path) -> None:
    files = {"chat_template.json": {"chat_template": TEMPLATE}, "additional_chat_templates/tool.jinja": TEMPLATE}
    with pytest.raises(
        ValueError, match=r"old chat_template\.json beside a folder additional_chat_templates.*remove one"
    ):
        load_backbone(with_files(plain, tmp_path / "model", files), device="cpu")


def test_frames_are_labelled_and_the_system_speaks_as_asked(plain: Path) -> None:
    """Logits differ, so it is said which."""
    said = {}
    asked: Any = ((None, None), ("Frame-1", None), ("Frame1", None), ("Frame1", "Answer in one word."))
    for label, system in asked:
        backbone: Any = load_backbone(str(plain), device="cpu", frame_label=label, system_prompt=system)
        kept = all_kept(backbone.encode_frames(video(2)))
        prompt = backbone.prompt_text(kept.spans, "Why?")
        assert len(backbone.tokenizer(prompt).input_ids) == len(backbone.embed_prompt(kept, "Why?"))
        assert (f"{label or 'Frame-1'}: <img>" in prompt, "<|im_start|>system" in prompt) == (True, system is not None)
        assert system is None or prompt.startswith(f"<|im_start|>system\n{system}<|im_end|>")
        said[label, system] = backbone.next_token_logits(backbone.embed_prompt(kept, "Why?"))
    assert torch.equal(said[None, None], said["Frame-1", None])
    assert not torch.allclose(said["Frame-1", None], said["Frame1", None])


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl", "llava_onevision"])
def test_every_family_has_a_system_prompt_and_only_internvl_labels(tmp_path: Path, family: str) -> None:
    folder = str(write_tiny(tmp_path / "model", family))
    square = SQUARE.get(family, {})
    plain: Any = load_backbone(folder, device="cpu", **square)
    system: Any = load_backbone(folder, device="cpu", system_prompt="Be brief.", **square)
    kept = all_kept(plain.encode_frames(video(2)))
    added = len(plain.tokenizer("<|im_start|>system\nBe brief.<|im_end|>\n").input_ids)
    assert len(system.embed_prompt(kept, "Why?")) == len(plain.embed_prompt(kept, "Why?")) + added
    with pytest.raises(ValueError, match="no option frame_label"):
        load_backbone(folder, frame_label="Frame1")
