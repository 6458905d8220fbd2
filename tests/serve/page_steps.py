"""What a person does on the page, step by step."""

from tests.serve.chromium import Tab

HOSTILE = '<img src=x onerror="document.title=1">'


def choose(tab: Tab, place: int) -> None:
    """One of the server's videos; it can be played afterwards."""
    tab.until("document.getElementById('listed').options.length > 1")
    _select(tab, "listed", place)
    tab.until("document.getElementById('player').readyState > 0")


def choose_example(tab: Tab, place: int) -> None:
    """One of the questions that the page offers about the video."""
    _select(tab, "examples", place)


def ask(tab: Tab) -> None:
    """Send the question."""
    tab.click("#send")


def answered(tab: Tab, systems: int = 1) -> None:
    """Wait until every system's answer is complete."""
    tab.until(
        f"document.querySelectorAll('.turn.on .bar').length === {systems} && !document.getElementById('send').disabled",
        60,
    )


def thumbnails_loaded(tab: Tab) -> None:
    """Wait until each shows its frame."""
    tab.until("(all => all.length && all.every(i => i.naturalWidth > 0))([...document.querySelectorAll('.film img')])")


def _select(tab: Tab, name: str, place: int) -> None:
    tab.run(f"(s => {{ s.value = {place}; s.dispatchEvent(new Event('change')) }})(document.getElementById('{name}'))")
