"""`videorouter routers`: export trained routers, merge, answer a question about a video, estimate cost, find a reference layer."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from videorouter.command_line import command, typed_command, underscored
from videorouter.routers.backbones.loading_options import (
    FrameLabel,
    HubSource,
    Loading,
    PromptOptions,
    add_flags,
    add_loading_options,
    hub_access,
    take_loading,
)
from videorouter.shards.policy import Policy
from videorouter.usage import ArgumentParser

if TYPE_CHECKING:
    from videorouter.routers.cost.estimate import Estimate

ACCEPT_BASE = "use a base model that is another one than the routers were trained on, and say what differs"


def export(
    out: Path,
    threshold: float | None = None,
    scales: tuple[int, int, int] | None = None,
    routing: str | None = None,
    frame_label: FrameLabel | None = None,
    system_prompt: str | None = None,
    dtype: Literal["bfloat16", "float32", "float16"] | None = None,
    *,
    checkpoint: list[str],
    accept_base: bool = False,
) -> None:
    """Write a router folder from training checkpoints.

    Args:
        out: the folder to write
        threshold: a frame is relevant above this probability; the one calibrated on validation data otherwise
        scales: compression scales (global, relevant, irrelevant); those trained with otherwise
        routing: options of routing that the folder is used with, such as "smoothing=1, router_scale=4"; those trained with
            otherwise
        frame_label: what stands before InternVL's frames, with a colon; Frame-1, or as in training, otherwise
        system_prompt: what the system says before the user; what the base's template writes, or as in training, otherwise
        dtype: of a language model that stage 3 trained; float32, as it was trained, otherwise
    """
    import torch

    from videorouter.routers.checkpoints.export import export as export_folder
    from videorouter.routers.routing.allocation import Scales
    from videorouter.routers.routing.options import RoutingOptions
    from videorouter.routers.systems.spec import parse_spec, with_options

    options = None
    if routing is not None:
        options = with_options(RoutingOptions(), parse_spec(f"videorouter({routing})").options, "--routing")
    folder = export_folder(
        [Path(path) for path in checkpoint],
        out,
        scales=None if scales is None else Scales(*scales),
        threshold=threshold,
        routing=options,
        prompt=PromptOptions(frame_label, system_prompt) if frame_label or system_prompt is not None else None,
        language_dtype=None if dtype is None else getattr(torch, dtype),
        accept_base=accept_base,
    )
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"exported to {folder} ({size / 1e6:.2f} MB)")


def answer(
    *,
    video: Path,
    question: str,
    model: str | None = None,
    system: str = "videorouter",
    policy: Policy | None = None,
    budget: int | None = None,
    base: str | None = None,
    revision: str | None = None,
    max_new_tokens: int = 32,
    encoder: str | None = None,
    frames: int | None = None,
    plan_out: Path | None = None,
    options: list[str] | None = None,
    json_output: bool = False,
    estimate_only: bool = False,
    stream: bool = False,
    accept_base: bool = False,
    loading: Loading | None = None,
) -> None:
    """Answer a question about a video with an exported router, or with a base model alone and a system that needs no router.

    Args:
        video: video file
        question: the question
        model: router folder, or its id on the Hub; a base alone answers with --base and --system
        system: compression system, NAME or "NAME(option=value, ...)"
        policy: force an allocation policy
        budget: visual tokens; the export's default otherwise
        base: base model: folder or Hub id; with --model only if it does not lie where the export says
        revision: of a router on the Hub, or of a base alone
        max_new_tokens: longest answer
        encoder: CLIP or SigLIP checkpoint (folder or Hub id) of the system relevance_pooling
        frames: frames sampled from the video; the export's number otherwise
        plan_out: add the frames chosen, with seconds, scores and scales, and pictures that cost as much, as a line of JSON to
            this file
    """
    if model is None and base is None:
        raise ValueError(
            "give --model with a router folder, or --base with a base model and a --system that needs no router"
        )
    if estimate_only:
        from videorouter.routers.backbones.loading import usual_device
        from videorouter.routers.cost.report import answer_cost

        fragment = None if policy is None else float(policy == "fragment")
        options_asked: Loading = loading or {}
        on_cpu = (options_asked.get("device") or usual_device()) == "cpu"
        weights = options_asked.get("dtype") or ("float32" if on_cpu else None)
        asked: dict[str, Any] = {
            "system": system,
            "base": base,
            "budget": budget,
            "fragment": fragment,
            "dtype": weights,
            "video": video,
            "frames": frames,
            "loading": options_asked if model is not None else {**options_asked, "revision": revision},
        }
        return _print_cost(answer_cost(model or base or "", question, options, **asked), json_output)
    from videorouter.routers.answering.plan_file import append_plan
    from videorouter.routers.answering.printing import show_answer
    from videorouter.routers.answering.video_router import VideoRouter
    from videorouter.routers.cost.picture_names import picture_cost_of
    from videorouter.routers.systems.registry import known_system

    known_system(system)
    chosen: Loading = {**(loading or {}), "revision": revision}
    if model is not None:
        router = VideoRouter.from_pretrained(model, base=base, accept_base=accept_base, **chosen)
    else:
        router = VideoRouter.from_base(base or "", **chosen)
    result = router.answer(
        video,
        question,
        options,
        budget=budget,
        policy=policy,
        system=system,
        max_new_tokens=max_new_tokens,
        encoder=encoder,
        frames=frames,
        on_text=(lambda text: print(text, end="", flush=True)) if stream else None,
    )
    if stream:
        print()
    if plan_out is not None:
        source: HubSource = {**hub_access(chosen), "revision": router.config.base.revision}
        cost = picture_cost_of(router.backbone.path, **source)
        append_plan(plan_out, result.plan, cost, str(video), question, options)
    if json_output:
        print(json.dumps({name: value for name, value in asdict(result).items() if name != "plan"}, indent=2))
    else:
        show_answer(result, options)


def merge(
    out: Path,
    base: str | None = None,
    revision: str | None = None,
    dtype: Literal["bfloat16", "float32", "float16"] = "bfloat16",
    max_shard_size: str = "5GB",
    token: str | None = None,
    cache_dir: str | None = None,
    local_files_only: bool = False,
    *,
    router: str,
    accept_base: bool = False,
) -> None:
    """Write the language model of a router folder, in its base, as an ordinary checkpoint of the base's family.

    Args:
        out: the folder to write
        base: where the base model lies (folder or Hub id), if not where the router folder says
        revision: of a router on the Hub
        dtype: of the weights written
        max_shard_size: of one file, such as 5GB
        token: of the Hub, for a private or gated base; the one logged in with where null
        cache_dir: the Hub's cache, where not the usual one
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from videorouter.routers.checkpoints.merge import merge as merged

    console = Console(markup=False, highlight=False, stderr=True)
    columns = TextColumn("merging"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task("merging", total=None)
        made = merged(
            router,
            out,
            base=base,
            revision=revision,
            accept_base=accept_base,
            dtype=dtype,
            max_shard_size=max_shard_size,
            progress=lambda done, total: shown.update(task, completed=done, total=total),
            token=token,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
        )
    print(
        f"merged into {made.folder} ({made.bytes / 1e9:.2f} GB, {dtype}; {made.changed} of {made.tensors} tensors are not the "
        "base's)"
    )
    for name in made.lacking:
        print(
            f"the base has no {name}, which other engines ask for: fetch it from the base's repository", file=sys.stderr
        )


def push(
    folder: Path, repo_id: str, base: str | None = None, private: bool = False, *, accept_base: bool = False
) -> None:
    """Upload a router folder to the Hub as one commit; repeatable.

    Args:
        folder: router folder
        repo_id: user/name
        base: id of the base model on the Hub, where the folder names one on this machine
        private: make a new repository private
    """
    from videorouter.routers.checkpoints.hub import push as pushed

    done = pushed(folder, repo_id, base=base, accept_base=accept_base, private=private)
    print(f"pushed to {done.url}")


def estimate(
    model: str,
    frames: int | None = None,
    budget: int | None = None,
    scales: tuple[int, int, int] | None = None,
    fragment: float | None = None,
    relevant: float | None = None,
    question_tokens: int | None = None,
    text_tokens: int | None = None,
    label_tokens: int | None = None,
    router_pool: int | None = None,
    frames_at_once: int | None = None,
    screen_side: int | None = None,
    video_size: tuple[int, int] | None = None,
    frame_size: int | None = None,
    min_pixels: int | None = None,
    max_pixels: int | None = None,
    video_seconds: float | None = None,
    gpus: int | None = None,
    gpu_memory: float | None = None,
    cpu_memory: float | None = None,
    revision: str | None = None,
    token: str | None = None,
    cache_dir: str | None = None,
    local_files_only: bool = False,
    dtype: Literal["float32", "bfloat16", "float16"] | None = None,
    *,
    json_output: bool = False,
) -> None:
    """Print parameters, bytes, FLOPs by stage and peak memory, before anything is loaded, and what each of several GPUs would hold.

    Args:
        model: base checkpoint (folder or Hub id) or router folder
        frames: frames sampled from the video
        budget: visual tokens
        scales: compression scales (global, relevant, irrelevant)
        fragment: share of questions under the policy fragment
        relevant: share of frames that are relevant under it
        question_tokens: tokens of the question that routers read
        text_tokens: tokens of the prompt beside the frames, question included
        label_tokens: tokens around each frame
        router_pool: divide the tokens of frames for the Image Router by this
        frames_at_once: frames in one pass of the vision tower
        screen_side: side in pixels at which frames are encoded first, as the option of the system videorouter
        video_size: [height,width] of the video in pixels, which Qwen-VL's frames follow; [720,1280] otherwise
        frame_size: side in pixels of a square to which Qwen-VL's frames are squeezed; as the router says, or at their own
            aspect ratio, otherwise
        min_pixels: fewest pixels of a frame at its own aspect ratio (Qwen-VL); the checkpoint's otherwise
        max_pixels: most pixels of such a frame; the checkpoint's otherwise
        video_seconds: length of the video, for models whose positions count time; one second a patch otherwise
        gpus: say what device_map="auto" would put on each of so many GPUs; 1 where only gpu_memory is given
        gpu_memory: GiB of each of them
        cpu_memory: GiB of the CPU, beyond which weights spill to a disk; as much as is needed otherwise
        revision: of a base on the Hub
        token: of the Hub, for private and gated repositories; the one logged in with otherwise
        cache_dir: the Hub's cache, where not the usual one
        dtype: of weights and activations; the checkpoint's own otherwise
    """
    from videorouter.routers.cost.devices import Devices
    from videorouter.routers.cost.report import model_cost
    from videorouter.routers.routing.allocation import Scales

    asked: Loading = {
        "revision": revision,
        "token": token,
        "cache_dir": cache_dir,
        "local_files_only": local_files_only,
    }
    asked |= {"frame_size": frame_size, "min_pixels": min_pixels, "max_pixels": max_pixels}
    if gpu_memory is None and (gpus, cpu_memory) != (None, None):
        raise ValueError("gpus and cpu_memory need --gpu_memory: the GiB of each GPU")
    cost = model_cost(
        model,
        dtype=dtype,
        video=video_size,
        loading=asked,
        devices=None if gpu_memory is None else Devices(1 if gpus is None else gpus, gpu_memory, cpu_memory),
        frames=frames,
        budget=budget,
        scales=Scales(*scales) if scales else None,
        fragment=fragment,
        relevant=relevant,
        question_tokens=question_tokens,
        text_tokens=text_tokens,
        label_tokens=label_tokens,
        router_pool=router_pool,
        frames_at_once=frames_at_once,
        screen_side=screen_side,
        video_seconds=video_seconds,
    )
    _print_cost(cost, json_output)


def _print_cost(cost: "Estimate", json_output: bool) -> None:
    from videorouter.routers.cost.report import show_estimate

    if json_output:
        print(json.dumps(cost.as_json(), indent=2))
    else:
        show_estimate(cost)


def probe_layer(
    model: str,
    data: Path,
    split: str | None = None,
    layers: list[int] | None = None,
    questions: int = 64,
    a_video: int = 8,
    largest_share: float = 0.25,
    device: str | None = None,
) -> None:
    """Find the decoder layer whose attention finds the frames that hold a question's answer: AdaptToken's reference layer.

    Args:
        model: folder or Hub id of a base model's checkpoint
        data: folder of Video-FLR shards: their frame labels say where the needles are
        split: split of the shards; all where not given
        layers: layers to probe, counted from 0; all where not given
        questions: at most this many questions
        a_video: at most this many questions of one video
        largest_share: questions with more of their video's frames as evidence are passed over
        device: torch device; a GPU where there is one otherwise
    """
    from rich.console import Console
    from rich.progress import Progress

    from videorouter.routers.backbones.loading import load_backbone
    from videorouter.routers.systems.layer_probe import best_layer, layer_table, probe_layers, read_haystacks

    backbone, console = load_backbone(model, device=device), Console(markup=False, highlight=False)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("probing layers", total=questions)
        haystacks = read_haystacks(data, split, questions=questions, a_video=a_video, largest_share=largest_share)
        qualities = probe_layers(backbone, haystacks, layers, lambda: progress.advance(task))
    console.print(layer_table(qualities, model))
    console.print(f"best layer: {best_layer(qualities)}")


def parser() -> ArgumentParser:
    """The command line of this package."""
    exporting = ArgumentParser(description="Write a router folder from training checkpoints.")
    exporting.add_argument("--checkpoint", nargs="+", required=True, metavar="CKPT", help="checkpoints of both routers")
    exporting.add_function_arguments(export, skip={"checkpoint", "accept_base"})
    given = {"options", "json_output", "estimate_only", "stream", "accept_base"}
    answering = ArgumentParser(description="Answer a question about a video with an exported router.")
    answering.add_function_arguments(answer, skip={*given, "loading"})
    add_loading_options(answering)
    answering.add_argument("--options", nargs="+", metavar="TEXT", help="the answer options, in order")
    answering.add_argument("--json", dest="json_output", action="store_true", help="print JSON")
    answering.add_argument("--stream", action="store_true", help="print the answer as it is decoded")
    answering.add_argument("--estimate", dest="estimate_only", action="store_true", help="print the cost, load nothing")
    merging = ArgumentParser(
        description="Write a router folder's language model, in its base, as an ordinary checkpoint."
    )
    merging.add_argument(
        "router", metavar="ROUTER", help="router folder with a language model of stage 3, or its Hub id"
    )
    merging.add_function_arguments(merge, skip={"router", "accept_base", "local_files_only"})
    pushing = ArgumentParser(description="Upload a router folder to the Hub.")
    pushing.add_function_arguments(push, as_positional=True, skip={"accept_base"})
    for one in (exporting, answering, merging, pushing):
        one.add_argument("--accept_base", action="store_true", help=ACCEPT_BASE)
    estimating = ArgumentParser(description="Print what a model costs before it is loaded.")
    estimating.add_function_arguments(estimate, skip={"json_output", "local_files_only"})
    for one in (merging, estimating):
        add_flags(one, "local_files_only")
    estimating.add_argument("--json", dest="json_output", action="store_true", help="print JSON")
    probing = ArgumentParser(description="Find a model's reference layer for AdaptToken.")
    probing.add_function_arguments(probe_layer)
    whole = ArgumentParser(prog=typed_command("routers"), description=__doc__)
    subcommands = whole.add_subcommands()
    subcommands.add_subcommand("export", exporting)
    subcommands.add_subcommand("answer", answering)
    subcommands.add_subcommand("merge", merging)
    subcommands.add_subcommand("push", pushing)
    subcommands.add_subcommand("estimate", estimating)
    subcommands.add_subcommand("probe-layer", probing)
    return whole


@command(how_to_resume={"merge": "nothing was put at --out; the same command begins again"})
def main(arguments: list[str]) -> None:
    """Run a subcommand."""
    chosen = parser().parse_args(underscored(arguments))
    commands: dict[str, Callable[..., None]] = {
        "export": export,
        "answer": answer,
        "merge": merge,
        "push": push,
        "estimate": estimate,
        "probe-layer": probe_layer,
    }
    options = chosen[chosen.subcommand].as_dict()
    if chosen.subcommand == "answer":
        options["loading"] = take_loading(options)
    commands[chosen.subcommand](**options)


if __name__ == "__main__":
    sys.exit(main())
