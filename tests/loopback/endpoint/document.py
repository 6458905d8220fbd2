"""The table in docs/reliability.md of what an endpoint may do, and what that costs.

`python -m tests.loopback.endpoint.document` writes it.
"""

from pathlib import Path
from typing import Final

from tests.loopback.endpoint.mode import Mode
from tests.loopback.endpoint.modes import FAMILIES

DOCUMENT: Final = Path(__file__).parents[3] / "docs" / "reliability.md"
BEGIN, END = "<!-- endpoints: begin -->\n", "<!-- endpoints: end -->\n"
COSTS: Final = {
    0: "nothing is lost; what failed on the way is asked again",
    3: "the items that met it are put aside; others are labelled",
    4: "`--teacher.wait` or `--teacher.patience`; the same command continues",
    6: "the requests about 8 videos at most; the same command asks again",
}


def table() -> str:
    """A row for each family and ending."""
    rows = ["| what | the endpoint | exit code | what it costs |", "| --- | --- | --- | --- |"]
    for family, modes in FAMILIES.items():
        endings: dict[tuple[int, ...], list[Mode]] = {}
        for mode in modes:
            endings.setdefault(tuple(sorted(mode.codes)), []).append(mode)
        for codes in sorted(endings):
            told = "; ".join(mode.told for mode in endings[codes])
            costs = "; or ".join(COSTS[code] for code in codes)
            rows.append(f"| {family} | {told} | {' or '.join(map(str, codes))} | {costs} |")
    return "\n".join(rows) + "\n"


def in_document() -> str:
    """The table as the document has it."""
    return DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


if __name__ == "__main__":
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    DOCUMENT.write_text(before + BEGIN + table() + END + rest.partition(END)[2], encoding="utf-8")
