"""Requests a second of `videorouter serve --engine vllm` against dense through the same server and the same vLLM.

A random InternVL: decoder 24 x 1,024 (16 heads of 64, 4 for keys, MLP 4,096), tower 4 x 256 at 224 pixels, 64 frames of 64 tokens,
allocations forced to the mix that the published means imply: 61.7 % fragment, 17.6 of 64 frames relevant. Every request shows
another video, as JPEG pictures, and is answered by one token: neither vLLM's prefix cache nor decoding of videos is measured.
Dense and routed requests take turns, eight of each, with 1, 4 and 8 in flight. What counts is the ratio, against the ratio of
FLOPs (`routers.cost`, causal). Then what repeated questions cost: about one video with vLLM's prefix cache, which dense prompts
share and routed ones hardly; and about a minute of mp4, whose frames are decoded and encoded once.

vLLM and the server have `--threads` threads each, for dense and routed alike. The client sends bodies that were written before.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2

from benchmarks.serving_model import QUESTION, Geometry, Requests, floor_ratio, write_model, write_video
from benchmarks.serving_process import RELEVANT, serving
from benchmarks.vllm_process import vllm_process
from videorouter.routers.routing.allocation import Scales
from videorouter.shards.policy import Policy

LOAD = Geometry(24, 1024, 4096, 4, 256, 224, 64)
REPEATED = Geometry(24, 512, 2048, 12, 384, 224, 64)
QUICK = Geometry(4, 256, 512, 2, 128, 112, 16)
SCALES = {"(2; 1,4)": Scales(2, 1, 4), "(4; 1,8)": Scales(4, 1, 8)}
TURN: tuple[Policy, ...] = (
    "fragment", "global", "fragment", "fragment", "global", "fragment", "global", "fragment",
)  # fmt: skip
"""Of the routed requests of one turn: five in eight."""
FRAGMENT = TURN.count("fragment") / len(TURN)
TARGET, SECOND_TARGET = 0.85, 0.5
STAGES = ("queue", "decode", "vision", "route", "prompt", "prefill")


def main() -> int:
    """Measure, print, keep; the exit code says whether both targets are held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vllm", type=Path, default=os.environ.get("VIDEOROUTER_VLLM"), help="its environment")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of vLLM, and of the server")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--rounds", type=int, default=2, help="turns of each system; videos of the part `prefix`")
    parser.add_argument(
        "--parts", nargs="+", choices=["load", "prefix", "second"], default=["load", "prefix", "second"]
    )
    parser.add_argument("--quick", action="store_true", help="a small model and few requests: that it runs, no figures")
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    options = parser.parse_args()
    if options.vllm is None or not (options.vllm / "bin" / "vllm").exists():
        parser.error("--vllm or VIDEOROUTER_VLLM must name an environment with vLLM: scripts/vllm_cpu.sh makes one")
    if options.quick:
        options.concurrency, options.rounds = [2], 1
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # both processes' threads wait for the same cores
    figures: dict[str, Any] = {"threads": options.threads}
    with tempfile.TemporaryDirectory(prefix="bench-serving-") as folder:
        if {"load", "prefix"} & {*options.parts}:
            figures |= under_load(Path(folder), options)
        if "second" in options.parts:
            figures["second"] = second_question(Path(folder), options)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(figures, indent=1))
    return 0 if options.quick or held(figures) else 1


def held(figures: dict[str, Any]) -> bool:
    """Whether the targets that were measured are held."""
    ratios = [row["of floor"] for row in figures.get("load", []) if row["system"] != "dense"]
    second = figures.get("second")
    return all(ratio >= TARGET for ratio in ratios) and (second is None or second["ratio"] <= SECOND_TARGET)


def under_load(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Requests a second, and first tokens of repeated questions; one vLLM, one of our servers for each pair of scales."""
    geometry = QUICK if options.quick else LOAD
    base, routers = write_model(folder / "load", geometry, list(SCALES.values()))
    requests, made = Requests(geometry), dict[str, Any]()
    vllm = ("--max-model-len", "8192", "--max-num-seqs", "16", "--enable-prefix-caching")
    with vllm_process(
        options.vllm, base, folder / "vllm.log", *vllm, threads=options.threads, cache_gb=1 if options.quick else 4
    ) as upstream:
        shared = ("--engine", "vllm", "--upstream", upstream, "--cache_gb", "1", "--upstream_patience", "3600")
        with (
            serving(folder / "0.log", options.threads, "--model", str(routers[0]), *shared) as first,
            serving(folder / "1.log", options.threads, "--model", str(routers[1]), *shared) as second,
        ):
            addresses = dict(zip(SCALES, (first, second), strict=True))
            for address in addresses.values():  # what is compiled or allocated at first use
                asyncio.run(sent(address, [requests.body(requests.new_video(), QUESTION, "dense", None)], 1))
            if "load" in options.parts:
                floors = {
                    name: floor_ratio(base, geometry, scales, FRAGMENT, RELEVANT) for name, scales in SCALES.items()
                }
                made["load"] = load_figures(addresses, requests, floors, options)
            if "prefix" in options.parts:
                made["prefix"] = prefix_figures(first, requests, options.rounds)
    return made


def load_figures(
    addresses: dict[str, str], requests: Requests, floors: dict[str, float], options: argparse.Namespace
) -> list[dict[str, Any]]:
    """Requests a second of dense and routed requests by turns, with their ratio to dense and to what FLOPs allow."""
    rows = []
    turn = TURN[:2] if options.quick else TURN
    for concurrency in options.concurrency:
        seconds: dict[str, list[float]] = {name: [] for name in ("dense", *SCALES)}
        stages: dict[str, list[dict[str, float]]] = {name: [] for name in seconds}
        for number in range(options.rounds):
            for name in seconds if number % 2 == 0 else reversed(seconds):
                address = addresses.get(name, next(iter(addresses.values())))
                system = "dense" if name == "dense" else "videorouter"
                bodies = [
                    requests.body(requests.new_video(), QUESTION, system, None if system == "dense" else policy)
                    for policy in turn
                ]
                before = stage_seconds(address)
                seconds[name].append(asyncio.run(sent(address, bodies, concurrency))[0])
                after = stage_seconds(address)
                stages[name].append({stage: (after[stage] - before[stage]) / len(turn) for stage in STAGES})
        for name, taken in seconds.items():
            ratio = statistics.median(dense / routed for dense, routed in zip(seconds["dense"], taken, strict=True))
            row = {
                "concurrency": concurrency, "system": name, "requests/s": len(turn) * len(taken) / sum(taken),
                "of dense": ratio, "floor": floors.get(name, 1.0), "of floor": ratio / floors.get(name, 1.0),
                "turns": taken,
                "stages": {stage: statistics.mean(one[stage] for one in stages[name]) for stage in STAGES},
            }  # fmt: skip
            rows.append(row)
            spent = ", ".join(f"{stage} {value:.3f}" for stage, value in row["stages"].items())
            print(
                f"{concurrency} in flight  {name:9} {row['requests/s']:7.3f} requests/s  {ratio:5.2f} x dense  "
                f"(FLOPs: {row['floor']:.2f} x, {row['of floor']:.2f} of that)  seconds a request: {spent}",
                flush=True,
            )
    return rows


def prefix_figures(address: str, requests: Requests, videos: int) -> dict[str, list[float]]:
    """Median seconds until the first token of questions 1 to 5 about one video; vLLM keeps prefixes of prompts."""
    ways: dict[str, tuple[str, Policy | None]] = {
        "dense": ("dense", None), "fragment": ("videorouter", "fragment"), "global": ("videorouter", "global"),
    }  # fmt: skip
    taken: dict[str, list[list[float]]] = {name: [] for name in ways}
    for _ in range(videos):
        for name, (system, policy) in ways.items():
            shown = requests.new_video()
            bodies = [requests.body(shown, f"{number} of 5. {QUESTION}", system, policy) for number in range(5)]
            taken[name].append(asyncio.run(sent(address, bodies, 1))[1])
    made = {name: [statistics.median(each) for each in zip(*rows, strict=True)] for name, rows in taken.items()}
    for name, row in made.items():
        told = "  ".join(f"{seconds:7.3f}" for seconds in row)
        print(f"first token, s, questions 1 to 5 about one video  {name:9} {told}", flush=True)
    return made


def second_question(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """First tokens of two questions about a minute of mp4, decoding and vision included, and what was encoded for the second."""
    geometry = QUICK if options.quick else REPEATED
    base, routers = write_model(folder / "second", geometry, [SCALES["(2; 1,4)"]])
    videos = [write_video(folder / f"{seed}.mp4", 6 if options.quick else 60, seed) for seed in range(4)]
    requests, taken, again = Requests(geometry), list[list[float]](), 0.0
    with (
        vllm_process(
            options.vllm, base, folder / "vllm.log", "--max-model-len", "8192", threads=options.threads, cache_gb=2
        ) as upstream,
        serving(
            folder / "2.log", options.threads, "--model", str(routers[0]), "--engine", "vllm", "--upstream", upstream,
            "--media_root", str(folder),
        ) as address,
    ):  # fmt: skip
        for video in videos:
            shown = [{"type": "video_url", "video_url": {"url": video.as_uri()}}]
            bodies = [requests.body(shown, f"{part} of 2. {QUESTION}", "videorouter", "fragment") for part in range(2)]
            first = asyncio.run(sent(address, bodies[:1], 1))[1]
            before = encoded(address)
            second = asyncio.run(sent(address, bodies[1:], 1))[1]
            again += encoded(address) - before
            taken.append([*first, *second])
    first, second = (statistics.median(each) for each in zip(*taken[1:], strict=True))  # the first video warms all up
    print(
        f"a minute of mp4: first question {first:.3f} s, second {second:.3f} s to the first token: {second / first:.2f} x; "
        f"frames encoded and videos decoded again: {again:.0f}",
        flush=True,
    )
    return {"first": first, "second": second, "ratio": second / first, "again": again, "all": taken}


async def sent(address: str, bodies: Sequence[bytes], concurrency: int) -> tuple[float, list[float]]:
    """Send them with so many in flight: seconds in all, and of each until its answer, which is one token."""
    waiting, taken = list(enumerate(bodies))[::-1], [0.0] * len(bodies)
    headers = {"Content-Type": "application/json"}

    async def work(client: httpx2.AsyncClient) -> None:
        while waiting:
            number, body = waiting.pop()
            started = time.perf_counter()
            response = await client.post(f"{address}/v1/chat/completions", content=body, headers=headers)
            taken[number] = time.perf_counter() - started
            if response.status_code != 200:
                raise RuntimeError(response.text[:500])

    async with httpx2.AsyncClient(timeout=3600, trust_env=False) as client:
        started = time.perf_counter()
        await asyncio.gather(*(work(client) for _ in range(concurrency)))
        return time.perf_counter() - started, taken


def stage_seconds(address: str) -> dict[str, float]:
    """Seconds that the server has spent in each stage since it started."""
    return {stage: _metric(address, f'videorouter_stage_seconds_sum{{stage="{stage}"}}') for stage in STAGES}


def encoded(address: str) -> float:
    """Frames encoded and videos decoded since it started."""
    names = ("videorouter_frames_encoded_total", "videorouter_videos_decoded_total")
    return sum(_metric(address, name) for name in names)


def _metric(address: str, name: str) -> float:
    lines = httpx2.get(f"{address}/metrics", timeout=30, trust_env=False).text.splitlines()
    return sum(float(line.removeprefix(name)) for line in lines if line.startswith(f"{name} "))


if __name__ == "__main__":
    raise SystemExit(main())
