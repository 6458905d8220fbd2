"""What is said of frames is said of the patches into which they are merged."""

from videorouter.routers.backbones.temporal import merged_any, merged_seconds


def test_a_patch_is_shown_in_the_middle_of_its_frames() -> None:
    assert merged_seconds([0.0, 1.0, 2.0, 4.0, 6.0], 2) == (0.5, 3.0, 6.0)
    assert merged_seconds([0.25, 7.0], 1) == (0.25, 7.0)


def test_a_patch_is_marked_if_any_of_its_frames_is() -> None:
    assert merged_any([False, True, False, False, True], 2) == (True, False, True)
    assert merged_any([True, False], 1) == (True, False)
