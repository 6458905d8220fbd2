"""The one interface behind which every compression system stands, and what it returns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from videorouter.routers.backbones.finite import finite_frames
from videorouter.routers.backbones.protocol import FrameSpan, Grid, PositionPolicy
from videorouter.routers.routing.allocation import Allocation
from videorouter.routers.routing.pooling import covering_cells, grids_within, pool_to, pooled_grid
from videorouter.routers.systems.query import Query
from videorouter.routers.systems.spec import Kind
from videorouter.shards.policy import Policy


@dataclass(frozen=True)
class CompressedVideo:
    """The visual tokens kept, in temporal and raster order, with the origin of each.

    `embeddings` `[N, D]`; `frames` `[N]` 0-based index of the sampled frame; `cells` `[N]` raster index on the frame's
    full grid (of the top left token a pooled one covers). `positions` None leaves them to the backbone's own policy;
    `total_frames` is T, up to which original positions count. `policy` and `relevance` `[T]` where a router decided.
    `grid` is (rows, columns) of that full grid; None where all videos of the model have one.
    """

    embeddings: Tensor
    frames: Tensor
    cells: Tensor
    positions: PositionPolicy | None = None
    policy: Policy | None = None
    relevance: Tensor | None = None
    total_frames: int | None = None
    grid: Grid | None = None

    @property
    def tokens(self) -> int:
        return len(self.embeddings)

    @property
    def spans(self) -> list[FrameSpan]:
        """The kept frames with the tokens of each, in temporal order."""
        frames, counts = self.frames.unique_consecutive(return_counts=True)
        return [FrameSpan(frame, count) for frame, count in zip(frames.tolist(), counts.tolist(), strict=True)]


class System(Protocol):
    """Compresses a video's tokens for one question.

    `budgeted` is False where the budget is ignored (`dense`); `kind` says which row of a comparison it is, and `spends_cap` that it
    decides itself how much of the cap it spends, where other systems are given as many tokens as VideoRouter fed on average.
    What only some systems have may be left out (see the functions below): `on_demand`, `reads_attention`, `drops_tokens`, which
    are False then, `reads_question`, which is True, and `least_budget(tokens_per_frame)`, which is 1.
    """

    @property
    def name(self) -> str: ...

    @property
    def budgeted(self) -> bool: ...

    @property
    def kind(self) -> Kind: ...

    @property
    def spends_cap(self) -> bool: ...

    def compress(self, video_tokens: Tensor, query: Query, budget: int) -> CompressedVideo:
        """`[T, M, D]` tokens, the question, at most `budget` tokens out. Raises `ValueError` for unworkable budgets."""
        ...


def keeps_frames_whole(kept: CompressedVideo, grid: Grid) -> bool:
    """Whether every kept frame is seen as a whole, however coarsely: averaged, without a token dropped inside it."""
    cells, columns = kept.cells.cpu(), grid[1]
    begin = 0
    for span in kept.spans:
        own = cells[begin : begin + span.tokens]
        begin += span.tokens
        rows = len((own // columns).unique())
        if span.tokens % rows or not torch.equal(own, covering_cells(grid, (rows, span.tokens // rows))):
            return False
    return True


def encodes_on_demand(system: System) -> bool:
    """Whether `compress` takes frames by number (`TokenSource`) rather than the tokens of all, and may leave some unencoded."""
    return bool(getattr(system, "on_demand", False))


def forced_policy(system: System) -> Policy | None:
    """The policy that it follows whatever the question: its field `policy`, or that of the system which it adjusts (`inner`)."""
    forced: Policy | None = getattr(getattr(system, "inner", system), "policy", None)
    return forced


def reads_attention(system: System) -> bool:
    """Whether `compress` runs the whole model, of which routers need the first layers only."""
    return bool(getattr(system, "reads_attention", False))


def reads_question(system: System) -> bool:
    """Whether a model reads the question in `compress`, at a cost that grows with its length."""
    return bool(getattr(system, "reads_question", True))


def drops_tokens(system: System) -> bool:
    """Whether `compress` drops tokens inside frames, so that what it keeps of one is no picture (`keeps_frames_whole`)."""
    return bool(getattr(system, "drops_tokens", False))


def least_budget(system: System, tokens_per_frame: int) -> int:
    """The smallest budget that is workable whatever the question, for a video of such frames."""
    least = getattr(system, "least_budget", None)
    return 1 if least is None else int(least(tokens_per_frame))


def apply_allocation(
    video_tokens: Tensor,
    plan: Allocation,
    grid: tuple[int, int],
    policy: Policy | None = None,
    relevance: Tensor | None = None,
) -> CompressedVideo:
    """Pool and drop frames of `[T, M, D]` as `plan` says; `policy` is recorded where a router chose it."""
    grids = {frame: pooled_grid(grid, scale) for frame, scale in zip(plan.frames, plan.scales, strict=True)}
    return pooled_video(video_tokens, grids, grid, policy, relevance)


def pooled_video(
    video_tokens: Tensor,
    grids: Mapping[int, tuple[int, int]],
    grid: tuple[int, int],
    policy: Policy | None = None,
    relevance: Tensor | None = None,
) -> CompressedVideo:
    """The frames that `grids` names, each averaged from `grid` to its own (rows, columns); the others are dropped."""
    frames = sorted(grids)
    pooled = averaged(video_tokens[frames], frames, grids, grid)
    return assembled(pooled, grids, grid, len(video_tokens), policy, relevance)


def averaged(
    tokens: Tensor, frames: Sequence[int], grids: Mapping[int, tuple[int, int]], grid: tuple[int, int]
) -> dict[int, Tensor]:
    """`[t, M, D]` tokens on `grid` of the frames numbered `frames` -> by number `[M', D]` on the grid of each.

    Raises `NotFiniteError` naming the first frame that holds NaN.
    """
    pooled: dict[int, Tensor] = {}
    for kept in {grids[frame] for frame in frames}:
        places = [place for place, frame in enumerate(frames) if grids[frame] == kept]
        members = finite_frames(pool_to(tokens[places], kept, grid), [frames[place] for place in places])
        pooled |= {frames[place]: member for place, member in zip(places, members, strict=True)}
    return pooled


def assembled(
    pooled: Mapping[int, Tensor],
    grids: Mapping[int, tuple[int, int]],
    grid: tuple[int, int],
    total_frames: int,
    policy: Policy | None = None,
    relevance: Tensor | None = None,
) -> CompressedVideo:
    """Frames' tokens by number, each averaged to its grid of `grids`, as one video of `total_frames` frames of `grid` cells."""
    frames, device = sorted(pooled), next(iter(pooled.values())).device
    return CompressedVideo(
        embeddings=torch.cat([pooled[frame] for frame in frames]),
        frames=torch.cat([torch.full((len(pooled[frame]),), frame, device=device) for frame in frames]),
        cells=torch.cat([covering_cells(grid, grids[frame], device) for frame in frames]),
        policy=policy,
        relevance=relevance,
        total_frames=total_frames,
        grid=grid,
    )


def kept_tokens(
    video_tokens: Tensor, indices: Tensor, positions: PositionPolicy | None = None, grid: Grid | None = None
) -> CompressedVideo:
    """The tokens of `[T, M, D]` at sorted flat `indices` int64 `[N]`, as they are; `grid` is the query's. Raises as `averaged`."""
    per_frame = video_tokens.shape[1]
    frames, cells = indices // per_frame, indices % per_frame
    kept = finite_frames(video_tokens[frames, cells], frames.tolist())
    return CompressedVideo(kept, frames, cells, positions, total_frames=len(video_tokens), grid=grid)


def on_grid(kept: CompressedVideo, grid: Grid | None) -> CompressedVideo:
    """The same with the video's `grid`, where the system that made it left that out."""
    return kept if kept.grid is not None or grid is None else replace(kept, grid=grid)


def pooled_sizes(grid: tuple[int, int]) -> np.ndarray:
    """int64 `[M + 1]`: the cells of the finest even grid of at most k tokens, for k in 0..M."""
    return np.array([rows * columns for rows, columns in grids_within(grid)])


def pool_to_counts(video_tokens: Tensor, counts: Mapping[int, int], grid: tuple[int, int]) -> CompressedVideo:
    """The frames of `[T, M, D]` that `counts` names, each averaged to the finest even grid of at most its count."""
    return pooled_video(video_tokens, {frame: grids_within(grid)[count] for frame, count in counts.items()}, grid)
