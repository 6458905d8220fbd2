"""Labels of frames are told from what is said about them, and their seconds are believed only as a whole."""

import pytest

from tests.serve.chat_bodies import picture
from videorouter.serve.chat.content import Part, Picture, Text
from videorouter.serve.chat.frame_texts import FrameTexts, read_frame_texts, read_label


@pytest.mark.parametrize(
    ("label", "second"),
    [
        ("<3.0 seconds>", 3.0),
        ("<t=3.2s>", 3.2),
        ("[12.5s]", 12.5),
        ("12.5 s", 12.5),
        ("0:12", 12.0),
        ("[00:12]", 12.0),
        ("75:10", 4510.0),
        ("00:01:05.5", 65.5),
        ("00:00:01,500", 1.5),
        ("Frame at 3s:", 3.0),
        ("[Frame at 3.0s]", 3.0),
        ("Frame 7 (3.5s):", 3.5),
        ("Frame 12s", 12.0),
        ("Frame 0:12", 12.0),
        ("Frame 1: 0:12", 12.0),
        ("frame 3 at 4.5 seconds", 4.5),
        ("Frame 5 - 3.0 s", 3.0),
        ("Time: 3.2s", 3.2),
        ("Timestamp: 00:03", 3.0),
        ("t=3200ms", 3.2),
        ("\nSecond 3:\n", 3.0),
        ("Frame-1: ", None),
        ("Frame1: ", None),
        ("Frame 1:", None),
        ("Frame #4", None),
        ("Frame 1/8:", None),
        ("<frame 3>", None),
    ],
)
def test_a_label_is_known(label: str, second: float | None) -> None:
    read = read_label(label)
    assert read is not None
    assert read.second == (None if second is None else pytest.approx(second))


@pytest.mark.parametrize(
    "said",
    [
        *(
            "",
            "3.0",
            "Frame",
            "at",
            "Image 1:",
            "What happens at 0:12?",
            "0:75",
            "1:61:00",
            "-3 seconds",
            "nan seconds",
        ),
        *("inf seconds", "1e3 seconds", "3 seconds later he leaves", "Frame by frame", "12345678901 s", "A. 3 seconds"),
        "[" * 100_000,
    ],
)
def test_what_only_resembles_a_label_is_text(said: str) -> None:
    assert read_label(said) is None


def between(*texts: str) -> list[Part]:
    """Pictures with these texts before them, and the last behind all."""
    parts: list[Part] = []
    for shade, said in enumerate(texts[:-1]):
        parts += [Text(said), Picture(picture(shade))]
    return [*parts, Text(texts[-1])]


def test_labels_behind_frames_are_read_where_none_stands_before() -> None:
    parts: list[Part] = [Text("Look."), Picture("a"), Text("0:01"), Picture("b"), Text("0:02\nWhat happens?")]
    assert read_frame_texts(parts) == FrameTexts(
        (1.0, 2.0), {0: "Look.", 2: "", 4: "What happens?"}, ("Look.", "", "What happens?")
    )


def test_labels_before_frames_win() -> None:
    assert read_frame_texts(between("0:01", "0:02", "0:03")).seconds == (1.0, 2.0)


@pytest.mark.parametrize(
    "labels",
    [
        ("0:05", "0:04"),  # back in time
        ("0:05", ""),
        ("", "0:05"),
        ("Frame 1:", "0:05"),
        ("Frame 1:", "A man."),
    ],
)
def test_labels_that_are_not_of_one_kind_or_go_back_stay_text(labels: tuple[str, ...]) -> None:
    read = read_frame_texts(between(*labels, "What happens?"))
    assert (read.seconds, read.between) == (None, (*labels, "What happens?"))


def test_frames_may_be_shown_at_the_same_second() -> None:
    assert read_frame_texts(between("<0.0 seconds>", "<0.0 seconds>", "Why?")).seconds == (0.0, 0.0)


def test_numbers_are_taken_out_and_tell_no_seconds() -> None:
    read = read_frame_texts(between("Here are frames.\nFrame-1: ", "\nFrame-2: ", "Why?"))
    assert (read.seconds, read.between) == (None, ("Here are frames.", "", "Why?"))


def test_lines_for_other_counts_of_pictures_stay() -> None:
    said = "Frame-1: <IMAGE_TOKEN>\nFrame-2: <IMAGE_TOKEN>\nFrame-3: <IMAGE_TOKEN>\nWhy?"
    assert read_frame_texts([Picture("a"), Picture("b"), Text(said)]).between[-1].startswith("Frame-3:")
    assert read_frame_texts([*[Picture("a")] * 4, Text(said)]).between[-1] == said
