"""A published tokenizer may have more entries than its model has rows; another model's tokenizer is still refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, InternVLConfig

from tests.routers.tiny_backbones import all_kept, video, write_tiny
from videorouter.routers.backbones.loading import load_backbone
from videorouter.routers.backbones.tokenizer import load_tokenizer


@pytest.fixture(scope="module")
def longer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `OpenGVLab/InternVL3-*-hf`: the tokenizer's last entry, a role the model does not play, has no embedding row."""
    folder = write_tiny(tmp_path_factory.mktemp("longer") / "model", "internvl")
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, extra_special_tokens={"video_token": "<clip>"})
    tokenizer.save_pretrained(folder)
    return folder


def test_an_entry_that_has_a_role_needs_no_row(longer: Path) -> None:
    backbone: Any = load_backbone(str(longer))
    assert len(backbone.tokenizer) == backbone.model.get_input_embeddings().num_embeddings + 1
    kept = all_kept(backbone.encode_frames(video(2)))
    assert backbone.next_token_logits(backbone.embed_prompt(kept, "What happens?")).isfinite().all()


def test_text_that_uses_it_is_told_which_entry_has_no_embedding(longer: Path) -> None:
    backbone: Any = load_backbone(str(longer))
    kept = all_kept(backbone.encode_frames(video(2)))
    for use in (lambda: backbone.embed_prompt(kept, "What is in <clip>?"), lambda: backbone.embed_text("a <clip> b")):
        with pytest.raises(ValueError, match=r"holds '<clip>', which .* has no embedding for.*take it out"):
            use()


def test_entries_without_a_row_and_without_a_role_are_another_models(longer: Path, tmp_path: Path) -> None:
    shutil.copytree(longer, tmp_path / "model")
    written = tmp_path / "model" / "tokenizer.json"
    content = json.loads(written.read_text())
    last = content["added_tokens"][-1]
    content["added_tokens"].append({**last, "id": last["id"] + 1, "content": "<tool_response>"})
    written.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"1 of the \d+ entries .* they belong to different models"):
        load_backbone(str(tmp_path / "model"))


def test_a_shorter_tokenizer_of_another_model_is_refused_by_its_placeholder(longer: Path, tmp_path: Path) -> None:
    shutil.copytree(longer, tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    config["image_token_id"] = 65
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        ValueError, match=r"token 65 stands for visual tokens in config\.json, .*, and is 'b' in the tok"
    ):
        load_backbone(str(tmp_path / "model"))


def test_the_published_tokenizer_of_internvl3_belongs_to_its_model(real_data: Path, tmp_path: Path) -> None:
    """151,674 rows, 151,675 entries: `<video>` came with transformers' conversion."""
    published = real_data / "tokenizers" / "internvl3"
    tokenizer: Any = AutoTokenizer.from_pretrained(published, extra_special_tokens={"video_token": "<video>"})
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    shape = json.loads((published / "config.InternVL3-1B.json").read_text())
    text = shape.get("text_config") or shape["llm_config"]
    config = InternVLConfig(
        text_config={"model_type": "qwen2", "vocab_size": text["vocab_size"]}, image_token_id=151_667
    )
    assert tokenizer.convert_tokens_to_ids("<video>") == text["vocab_size"] == 151_674
    assert len(load_tokenizer(str(tmp_path / "tokenizer"), config)) == 151_675
