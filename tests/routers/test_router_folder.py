"""An export reloads to the same scores in another process, names its base by hash, and holds nothing but heads."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.checkpoints.router_folder import CheckpointError
from videorouter.routers.routing.allocation import Scales
from videorouter.video.decode import sample_frames

QUESTION = "Which symbol is at the top left corner when the red circle is shown?"
SCORES = """
import json, sys
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.video.decode import sample_frames
router = VideoRouter.from_pretrained(sys.argv[1])
frames = sample_frames(sys.argv[2], 16, size=112).frames
relevance = router.frame_relevance(router.backbone.encode_frames(frames), [sys.argv[3]])[0]
print(json.dumps([relevance.tolist(), router.policy_probabilities(sys.argv[3])]))
"""


def test_a_reloaded_router_in_a_new_process_gives_identical_scores_and_policy(
    router: Path, world: Path, tmp_path: Path
) -> None:
    video = sorted((world / "videos").iterdir())[0]
    first = VideoRouter.from_pretrained(router)
    first.save_pretrained(tmp_path / "again")
    frames = sample_frames(video, 16, size=112).frames
    relevance = first.frame_relevance(first.backbone.encode_frames(frames), [QUESTION])[0].tolist()
    done = subprocess.run(
        [sys.executable, "-c", SCORES, str(tmp_path / "again"), str(video), QUESTION],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert json.loads(done.stdout) == [relevance, first.policy_probabilities(QUESTION)]


def test_the_folder_holds_heads_only(router: Path) -> None:
    tensors = load_file(router / "model.safetensors")
    assert {name.split(".")[0] for name in tensors} == {"semantic", "image"}
    assert not [name for name in tensors if "shadow" in name]
    card = (router / "README.md").read_text()
    assert json.loads((router / "config.json").read_text())["base"]["sha256"] in card


def test_another_base_is_refused(router: Path, base: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(base, other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"image_seq_length": 17}))
    with pytest.raises(CheckpointError, match="pass the right one with --base"):
        VideoRouter.from_pretrained(router, base=str(other))


def test_a_newer_format_is_refused_with_the_remedy(router: Path, tmp_path: Path) -> None:
    shutil.copytree(router, tmp_path / "newer")
    path = tmp_path / "newer" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 99}))
    with pytest.raises(CheckpointError, match=r"format_version 99.*export again"):
        VideoRouter.from_pretrained(tmp_path / "newer")


def test_a_folder_without_an_export_says_so(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="routers export"):
        VideoRouter.from_pretrained(tmp_path)


def test_a_card_with_its_metrics_is_kept_unless_what_it_says_was_changed(router: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(router, router.with_name("carded")))
    (folder / "README.md").write_text("measured: 0.97")
    loaded = VideoRouter.from_pretrained(folder)
    loaded.save_pretrained(folder)
    loaded.save_pretrained(tmp_path / "copy")
    assert (folder / "README.md").read_text() == (tmp_path / "copy" / "README.md").read_text() == "measured: 0.97"
    loaded.rescaled(Scales(8, 1, 16)).save_pretrained(tmp_path / "rescaled")
    assert "(8; 1, 16)" in (tmp_path / "rescaled" / "README.md").read_text()


@pytest.mark.parametrize("name", ["robust-router", "dense-router"])
def test_the_shipped_routers_are_in_the_final_format_and_load(name: str) -> None:
    folder = Path(__file__).parents[2] / "miniature" / "shipped" / name
    assert json.loads((folder / "config.json").read_text())["routing"]["router_scale"] == 1
    assert "val/image_auroc" in (folder / "README.md").read_text()
    assert VideoRouter.from_pretrained(folder).config.budget == 329
