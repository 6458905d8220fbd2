"""An answer as a person reads it in a terminal: policy, relevance as a sparkline, tokens a frame, stage times."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from videorouter.routers.answering.answer import Answer

BARS = " ▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], top: float) -> str:
    """One bar a value, from blank (0) to full (`top`); anything above 0 shows at least the lowest bar."""
    steps = len(BARS) - 1
    return "".join(BARS[0 if value <= 0 else max(1, min(steps, round(value / top * steps)))] for value in values)


def show_answer(answer: Answer, options: Sequence[str] | None = None, console: Console | None = None) -> None:
    """Print `answer` with its evidence."""
    console = console or Console(markup=False, highlight=False)
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("answer", answer.text or "(empty)")
    if options:
        table.add_row(
            "choice", f"({answer.choice})" if answer.choice else "none of the options could be read from the answer"
        )
    if answer.policy is not None:
        table.add_row("policy", f"{answer.policy} (semantic router: {answer.policy_probability:.2f})")
    if answer.relevance is not None:
        table.add_row("relevance", sparkline(answer.relevance, 1.0))
    table.add_row("tokens/frame", sparkline(answer.tokens_by_frame, max(answer.tokens_by_frame)))
    table.add_row("", _timeline(answer.frame_seconds))
    kept = sum(count > 0 for count in answer.tokens_by_frame)
    table.add_row("tokens", f"{answer.tokens} in {kept} of {len(answer.tokens_by_frame)} frames ({answer.system})")
    stages = "  ".join(f"{stage} {seconds:.3f}" for stage, seconds in answer.seconds_by_stage.items())
    table.add_row("seconds", stages)
    if answer.peak_memory is not None:
        table.add_row("peak memory", f"{answer.peak_memory / 2**30:.2f} GiB")
    console.print(table)


def _timeline(seconds: Sequence[float]) -> str:
    """The first and the last second under the two ends of the sparklines."""
    first, last = f"{seconds[0]:.1f}s", f"{seconds[-1]:.1f}s"
    return first + last.rjust(max(len(last) + 1, len(seconds) - len(first)))
