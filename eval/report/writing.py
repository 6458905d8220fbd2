"""`eval report`: the page and the tables of finished runs."""

from collections.abc import Sequence
from pathlib import Path

from videorouter.eval.config import ReportConfig
from videorouter.eval.report.cells import all_figures
from videorouter.eval.report.chosen import chosen_questions
from videorouter.eval.report.comma_separated import comma_separated
from videorouter.eval.report.gathered import gather
from videorouter.eval.report.latex import latex
from videorouter.eval.report.markdown import markdown
from videorouter.eval.report.page import page


def write_report(runs: Sequence[Path], config: ReportConfig) -> Path:
    """Write the report of `runs` from their folders alone; the page's path.

    Raises `ValueError` for folders without a finished run, runs that contradict each other, a reference that is not there,
    unequal budgets without `mix_budgets`, and a page that cannot be kept small.
    """
    if config.questions < 0:
        raise ValueError(f"--questions is {config.questions}: give 0 or more")
    gathered = gather(runs)
    figures = all_figures(gathered, config.reference, mix_budgets=config.mix_budgets, apart=tuple(config.apart))
    shown = chosen_questions(gathered, config.questions)
    files = {
        "index.html": page(figures, gathered, shown, config.reference, mix_budgets=config.mix_budgets),
        "tables.md": markdown(figures, gathered, config.reference, config.mix_budgets),
        "tables.tex": latex(figures, gathered, config.reference, config.mix_budgets),
        "tables.csv": comma_separated(figures),
    }
    config.out.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (config.out / name).write_text(text, encoding="utf-8", newline="\n")
    return config.out / "index.html"
