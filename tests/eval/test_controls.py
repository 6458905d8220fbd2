"""Controls see nothing, or the same options in another order; they are listed separately, and a run takes them like any system."""

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from videorouter.eval.__main__ import main
from videorouter.eval.benchmarks.items import Item
from videorouter.eval.run_folder import read_predictions
from videorouter.eval.running.controls import reordered


@given(st.lists(st.text(min_size=1), min_size=2, max_size=6, unique=True), st.data())
def test_reordered_options_are_the_same_in_another_order_and_the_answer_goes_with_its_text(
    options: list[str], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(options) - 1))
    item = Item("one", Path("a.mkv"), "What?", tuple(options), chr(65 + place), {"kind": "any"})
    shuffled, meant = reordered(item)
    assert sorted(shuffled.options) == sorted(options)
    assert shuffled.options != item.options
    assert shuffled.options[ord(shuffled.answer) - 65] == options[place]
    assert all(shuffled.options[ord(there) - 65] == options[ord(here) - 65] for there, here in meant.items())
    assert reordered(item) == (shuffled, meant)


def test_a_run_with_controls_feeds_the_blind_nothing_and_the_shuffled_the_same_tokens(
    world: Path, router: Path, tmp_path: Path
) -> None:
    systems = ["videorouter", "blind", "shuffled+videorouter"]
    arguments = ["run", "--config", "eval/miniature", "--model", str(router), "--data", str(world), "--limit", "6"]
    assert (
        main([*arguments, "--validation_split", "null", "--systems", json.dumps(systems), "--out", str(tmp_path)]) == 0
    )
    made = {name: [p for p in read_predictions(tmp_path / "predictions.jsonl") if p.system == name] for name in systems}
    assert {p.tokens for p in made["blind"]} == {0}
    assert not any(p.frames for p in made["blind"])
    assert [p.tokens for p in made["shuffled+videorouter"]] == [p.tokens for p in made["videorouter"]]
    assert [p.answer for p in made["shuffled+videorouter"]] == [p.answer for p in made["videorouter"]]
    assert [{p.kind for p in made[name]} for name in systems] == [{"compared"}, {"control"}, {"control"}]
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "report")]) == 0
