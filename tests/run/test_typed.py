"""Records read from plain containers and written back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from gan_aug.run.typed import Misfit, Others, from_plain, to_plain


@dataclass(frozen=True)
class Point:
    x: float
    label: str | None


@dataclass(frozen=True, kw_only=True)
class Record:
    name: str
    points: list[Point]
    counts: dict[str, int]
    others: Others = field(default_factory=dict)
    checked: bool | None = None
    class_: Any


PLAIN = {
    "name": "a",
    "points": [{"x": 1, "label": None}, {"x": 0.5, "label": "b"}],
    "counts": {"정상": 2},
    "class": [{"anything": 1}],
}


def test_what_is_read_is_written_as_it_was() -> None:
    record = from_plain(Record, PLAIN)
    assert record.points[1] == Point(0.5, "b")
    assert record.class_ == [{"anything": 1}]
    assert to_plain(record) == PLAIN
    whole = PLAIN | {"checked": False}
    assert to_plain(from_plain(Record, whole)) == whole


def test_keys_of_another_version_pass_through_in_their_place() -> None:
    record = from_plain(Record, PLAIN | {"later": {"x": "y"}})
    assert record.others == {"later": {"x": "y"}}
    assert list(to_plain(record)) == ["name", "points", "counts", "later", "class"]


def test_a_field_that_may_be_none_may_be_missing() -> None:
    assert from_plain(Point, {"x": 1.0}) == Point(1.0, None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": 3}, "name=3: must be a text"),
        ({"name": None}, "name=None: must be a text"),
        ({"points": {}}, "points: must be a list"),
        ({"points": [7]}, "points.0: must be a mapping"),
        ({"points": [{"label": "b"}]}, "points.0: lacks x"),
        ({"points": [{"x": "1"}]}, "points.0.x='1': must be a number"),
        ({"points": [{"x": True}]}, "points.0.x=True: must be a number"),
        ({"counts": {"a": 1.5}}, "counts.a=1.5: must be a whole number"),
        ({"counts": {"a": True}}, "counts.a=True: must be a whole number"),
        ({"checked": 1}, "checked=1: must be true or false"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(Misfit) as caught:
        from_plain(Record, PLAIN | changes)
    assert str(caught.value) == message


def test_what_is_no_record_at_all() -> None:
    with pytest.raises(Misfit, match="^must be a mapping$"):
        from_plain(Record, [PLAIN])
    with pytest.raises(Misfit, match="^lacks name$"):
        from_plain(Record, {})
