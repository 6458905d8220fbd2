"""Small benchmark folders in the layouts, and with the fields, in which the real ones are published."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

SRT = """1
00:00:01,000 --> 00:00:03,500
<font color="white" size=".72c">hello there</font>

2
00:00:04,000 --> 00:00:06,000
second
line
"""
LVB_SUBTITLES = [
    {"timestamp": [100.0, 102.0], "text": "before the clip"},
    {"timestamp": [121.0, 124.0], "text": "in the clip"},
    {"timestamp": [130.0, None], "text": "open end"},
    {"timestamp": [140.0, 141.0], "text": "late"},
]


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def video_mme_row(number: int, of_video: int, duration: str = "short", **changed: Any) -> dict[str, Any]:
    return {
        "video_id": f"{number:03d}", "duration": duration, "domain": "Knowledge", "sub_category": "Humanity & History",
        "url": f"https://www.youtube.com/watch?v=yt-{number}", "videoID": f"yt-{number}", "question_id": f"{number:03d}-{of_video}",
        "task_type": "Counting Problem", "question": "How many apples?",
        "options": ["A. Apples.", "B. Candles.", "C. Berries.", "D. The three kinds are of the same number."], "answer": "C",
    } | changed  # fmt: skip


def video_mme(folder: Path, rows: list[dict[str, Any]] | None = None) -> Path:
    own = [
        video_mme_row(1, 1),
        video_mme_row(1, 2, answer="A"),
        video_mme_row(2, 1, "long", domain="Film & Television"),
    ]
    write_parquet(folder / "videomme/test-00000-of-00001.parquet", own if rows is None else rows)
    touch(folder / "data/yt-1.mp4")
    (folder / "subtitle").mkdir()
    (folder / "subtitle/yt-1.srt").write_text(SRT, encoding="utf-8")
    return folder


MLVU_FILES = {
    "1_plotQA": "plotQA", "2_needle": "findNeedle", "3_ego": "ego", "4_count": "count", "5_order": "order",
    "6_anomaly_reco": "anomaly_reco", "7_topic_reasoning": "topic_reasoning",
}  # fmt: skip


def mlvu_row(task: str, **changed: Any) -> dict[str, Any]:
    return {
        "video": f"{task}_1.mp4", "duration": 480.0, "question": "What colour is the coat?",
        "candidates": ["Yellow", "Red", "Green", "Blue"], "answer": "Red", "question_type": task,
    } | changed  # fmt: skip


def mlvu(folder: Path, extra: list[Any] | None = None) -> Path:
    for name, task in MLVU_FILES.items():
        write_json(folder / "json" / f"{name}.json", [mlvu_row(task), *((extra or []) if name == "1_plotQA" else [])])
        touch(folder / "video" / name / f"{task}_1.mp4")
    return folder


def mlvu_mirror_row(task: str = "needle", **changed: Any) -> dict[str, Any]:
    return {
        "video_name": "needle_1.mp4", "duration": 480.0,
        "question": "What colour is the coat?\n(A) Yellow\n(B) Red\n(C) Green\n(D) Blue",
        "candidates": ["Yellow", "Red", "Green", "Blue"], "answer": "B", "task_type": task,
    } | changed  # fmt: skip


def longvideobench_row(number: int = 0, **changed: Any) -> dict[str, Any]:
    return {
        "video_id": f"v{number}", "question": "When the man says hello, what is he holding?",
        "question_wo_referring_query": "What is he holding?", "candidates": ["a cup", "a book", "a phone"], "correct_choice": 1,
        "position": [240, 300], "topic_category": "KH-Knowledge-History", "question_category": "T2O", "level": "L1-Perception",
        "id": f"v{number}_0", "video_path": f"v{number}.mp4", "subtitle_path": f"v{number}_en.json", "duration_group": 15,
        "starting_timestamp_for_subtitles": 120, "duration": 14.5, "view_count": 10,
    } | changed  # fmt: skip


def longvideobench(folder: Path, rows: list[Any] | None = None) -> Path:
    write_json(folder / "lvb_val.json", [longvideobench_row()] if rows is None else rows)
    write_json(folder / "subtitles/v0_en.json", LVB_SUBTITLES)
    touch(folder / "videos/v0.mp4")
    return folder


def padded(row: dict[str, Any]) -> dict[str, Any]:
    """The parquet form of a row of the JSON."""
    candidates = row["candidates"] + ["N/A"] * (5 - len(row["candidates"]))
    kept = {name: value for name, value in row.items() if name != "candidates"}
    return kept | {f"option{place}": option for place, option in enumerate(candidates)}


def lvbench_question(uid: str, **changed: Any) -> dict[str, Any]:
    return {
        "uid": uid, "question": "What year appears?\n(A) 1636\n(B) 1366\n(C) 1363\n(D) 1633", "answer": "D",
        "question_type": ["key information retrieval", "reasoning"], "time_reference": "00:15-00:19",
    } | changed  # fmt: skip


def lvbench(folder: Path, questions: list[dict[str, Any]] | None = None) -> Path:
    qa = [lvbench_question("0"), lvbench_question("1")] if questions is None else questions
    folder.mkdir(parents=True, exist_ok=True)
    line = json.dumps({"key": "Cm73ma6Ibcs", "type": "cartoon", "video_info": {"fps": 24.0}, "qa": qa})
    (folder / "video_info.meta.jsonl").write_text(line + "\n", encoding="utf-8")
    touch(folder / "all_videos/Cm73ma6Ibcs.mp4")
    return folder


def egoschema(folder: Path) -> Path:
    options = {f"option {place}": f"C does {place}." for place in range(5)}
    rows = [{"q_uid": uid, "google_drive_id": "x", "question": "What does C do?", **options} for uid in ("u-1", "u-2")]
    write_json(folder / "questions.json", rows)
    write_json(folder / "subset_answers.json", {"u-2": 4})
    touch(folder / "videos/u-2.mp4")
    return folder
