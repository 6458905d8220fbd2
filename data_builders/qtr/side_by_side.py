"""Many items worked on a few at a time, so that what each holds (a video's frames) is held a few times only."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


async def side_by_side(
    work: Callable[[Item], Awaitable[Result]], items: Sequence[Item], at_once: int, finished: Callable[[Item], None]
) -> list[Result]:
    """`work` on every item, at most `at_once` at a time; results in the order of the items.

    `finished` hears of each item. The first exception ends all others and is raised.
    """
    results: dict[int, Result] = {}
    left = iter(enumerate(items))

    async def work_on_what_is_left() -> None:
        for position, item in left:
            results[position] = await work(item)
            finished(item)

    workers = [asyncio.create_task(work_on_what_is_left()) for _ in range(min(at_once, len(items)))]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
    return [results[position] for position in range(len(items))]
