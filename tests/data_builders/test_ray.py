"""The ray executor on a real cluster of two node processes: the same labels, also where a node is lost; one cap for all."""

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest

from videorouter.data_builders.__main__ import main
from videorouter.data_builders.building.ledger import Ledger
from videorouter.shards.verify import verify

ray = pytest.importorskip("ray")


@pytest.fixture
def cluster() -> Iterator[object]:
    """A head without cores for tasks and one node with them, to which the test adds another."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    made.add_node(num_cpus=1)
    yield made
    ray.shutdown()
    made.shutdown()


def annotate(world: Path, out: Path, teacher: str, *options: str) -> int:
    arguments = ["flr", "annotate", "--config", "miniature/flr_annotate", "--questions", str(world / "questions.jsonl")]
    arguments += ["--videos", str(world), "--teacher.base_url", teacher, "--videos-per-shard", "1", "--out", str(out)]
    return main([*arguments, "--executor", "ray", "--workers", "2", *options])


@pytest.mark.slow
def test_a_node_that_is_lost_costs_no_label_and_a_cap_holds_for_all_tasks(
    cluster: object, world: Path, flr: Path, tmp_path: Path, start_teacher: Callable[..., object]
) -> None:
    ray.init(address=cluster.address, log_to_driver=False)  # type: ignore[attr-defined]
    leaving = cluster.add_node(num_cpus=1)  # type: ignore[attr-defined]
    cluster.wait_for_nodes()  # type: ignore[attr-defined]
    out = tmp_path / "out"
    with start_teacher("--hang", "0.5", "--hang-seconds", "1") as url:  # type: ignore[attr-defined]
        most = 60_000
        assert annotate(world, out, url, "--max-tokens", str(most), "--teacher.concurrency", "2") == 5
        spent = Ledger(out).totals().usage
        assert most <= spent.tokens_in + spent.tokens_out <= most + 2 * 20_000
        codes: list[int] = []
        build = Thread(target=lambda: codes.append(annotate(world, out, url, "--teacher.concurrency", "4")))
        build.start()
        while build.is_alive() and Ledger(out).totals().usage.requests < spent.requests + 8:
            build.join(timeout=0.1)
        assert build.is_alive(), "it ended before the node could be removed"
        cluster.remove_node(leaving, allow_graceful=False)  # type: ignore[attr-defined]
        build.join(timeout=200)
    assert codes == [0]
    assert not verify(out).problems
    assert _labels(out) == _labels(flr)


def _labels(folder: Path) -> dict[str, str]:
    from videorouter.shards.reader import ShardDataset

    return {
        question.question.id: question.model_dump_json()
        for sample in ShardDataset(folder)
        for question in sample.questions
    }
