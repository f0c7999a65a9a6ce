"""Where panels and keys stand on a page."""

from __future__ import annotations

import pytest

from study.report.pictures import key
from study.report.pictures.layout import Box, Page, columns_for, page_of
from study.report.pictures.style import WIDTHS


def made(count: int, width: str, entries: int = 8, shape: tuple[float, float] = (6.4, 14)) -> Page:
    most = 2 if width == "one" else 4
    return page_of(count, shape, WIDTHS[width], most=most, head=2, title=1, entries=entries, longest=26)


def apart(one: Box, other: Box) -> bool:
    """Whether two boxes share no area."""
    return (
        one[0] + one[2] <= other[0] + 1e-9
        or other[0] + other[2] <= one[0] + 1e-9
        or one[1] + one[3] <= other[1] + 1e-9
        or other[1] + other[3] <= one[1] + 1e-9
    )


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("count", [*range(1, 13), 26])
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (6.4, 14), (300, 30)])
def test_panels_are_alike_and_nothing_overlaps(count: int, width: str, shape: tuple[float, float]) -> None:
    """Every panel has the same size; panels and key lie on the page, and apart from each other."""
    page = made(count, width, shape=shape)
    assert len({(round(box[2], 9), round(box[3], 9)) for box in page.panels}) == 1
    boxes = [*page.panels, page.bar]
    for k, box in enumerate(boxes):
        assert min(box) >= 0
        assert box[0] + box[2] <= page.width + 1e-9
        assert box[1] + box[3] <= page.height + 1e-9
        for other in boxes[:k]:
            assert apart(box, other), (box, other)
    assert all(apart(page.legend, box) for box in page.panels)


def test_seven_panels_leave_no_empty_eighth() -> None:
    """The key stands in the eighth place, beside the last panel."""
    page = made(7, "two")
    assert page.columns == 4
    assert page.bar[0] > page.panels[6][0] + page.panels[6][2]
    assert page.bar[1] < page.panels[6][1] + page.panels[6][3]
    assert page.legend[0] > page.panels[6][0] + page.panels[6][2]


def test_counts_that_fill_rows_have_the_key_below() -> None:
    """Six panels are two full rows of three, four one row."""
    assert [columns_for(count, 4) for count in (1, 2, 3, 4, 5, 6, 7, 8)] == [2, 3, 4, 4, 3, 3, 4, 3]
    page = made(6, "two")
    assert page.bar[1] + page.bar[3] < min(box[1] for box in page.panels)


def test_the_lowest_panels_name_their_axes() -> None:
    """Also the one above the key, below which no panel stands."""
    page = made(7, "two")
    assert [bottom for bottom, _ in page.outer] == [False, False, False, True, True, True, True]
    assert [left for _, left in page.outer] == [True, False, False, False, True, False, False]


def test_ticks_of_a_bar_have_room_for_their_words() -> None:
    """Both ends stay; the crowded ones go first."""
    five = [(k / 4, word) for k, word in enumerate(("0.09", "0.47", "0.74", "0.901", "0.955"))]
    assert key.apart(five, 2.0) == five
    assert key.apart(five, 1.15) == [*five[:3], five[-1]]
    assert key.apart(five, 0.2) == [five[0], five[-1]]
    assert key.apart(five[:1], 0.2) == five[:1]
