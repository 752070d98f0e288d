"""Numbers and names as the sentences of a report have them."""

from __future__ import annotations

from gan_aug.report.comparisons import Verdict
from gan_aug.report.metrics import titles_of
from gan_aug.report.study import Condition, label_of
from gan_aug.report.summary import Summary
from gan_aug.settings.design import Endpoint


def difference(one: Verdict, beside: str = "") -> str:
    """Return a difference that has an interval, with that and what is told beside it."""
    return f"{points(one.mean)} points (95% interval {ends_of(one.interval)}{beside})"


def p_value(one: Verdict) -> str:
    """Return p after Holm's correction: `p = 0.042`."""
    p = 1.0 if one.p_holm is None else one.p_holm
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def endpoint_named(summary: Summary, endpoint: Endpoint) -> str:
    """Return an endpoint with its rank: `test AUROC (primary)`."""
    rank = "primary" if endpoint == summary.endpoints[0] else "secondary"
    return f"{titled(summary, *endpoint.where)} ({rank})"


def titled(summary: Summary, split: str, metric: str) -> str:
    """Return a metric on images: `test AUROC`."""
    return f"{split} {titles_of(summary.data_classes)[metric]}"


def leading(condition: Condition) -> str:
    """Return a condition before what holds under it; nothing where nothing is swept."""
    return f"{label_of(condition)}: " if condition else ""


def trailing(condition: Condition) -> str:
    """Return a condition behind what holds under it."""
    return f", with {label_of(condition)}" if condition else ""


def capital(text: str) -> str:
    """Return text that begins a sentence."""
    return text[:1].upper() + text[1:]


def points(share: float) -> str:
    """Return a share as signed percentage points.

    The end of an interval keeps its sign, however small: "-0.00 to +0.43" holds 0.
    """
    # What rounding left of 0 is no -0.00.
    return f"{0.0 if abs(share) < 1e-12 else 100 * share:+.2f}"


def ends_of(interval: tuple[float, float] | None) -> str:
    """Return an interval in points: `-0.50 to +1.20`; nothing where there is none."""
    return " to ".join(map(points, interval or ()))


def with_interval(mean: float, interval: tuple[float, float] | None) -> str:
    """Return a mean in points, and its interval where there is one: `+0.35 (-0.50 to +1.20)`."""
    return points(mean) if interval is None else f"{points(mean)} ({ends_of(interval)})"


def effect(share: float) -> str:
    """Return a smallest effect: `1 point`."""
    number = f"{100 * share:g}"
    return f"{number} point{'' if number == '1' else 's'}"
