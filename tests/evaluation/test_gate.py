"""Which GANs count as varied enough."""

from __future__ import annotations

import pytest

from gan_aug.evaluation.measured import ClassQuality, Quality, misses, real_share

N = 120
GATE = {"recall": 0.1, "ms_ssim": 0.05}
GOOD = {"recall": "higher", "ms_ssim": "baseline"}


def missed(recall: float, ms_ssim: float, of_real: float = 0.9) -> list[str] | None:
    values = {
        "real": {"recall": of_real, "ms_ssim": 0.5},
        "generated": {"recall": recall, "ms_ssim": ms_ssim},
    }
    found = ClassQuality(values=values, seconds=None, images={})
    return misses(Quality(extractor="e", good=GOOD, gate=GATE, classes={"a": found}), "a")


@pytest.mark.parametrize(
    ("recall", "ms_ssim", "expected"),
    [
        (0.9, 0.5, []),
        (0.85, 0.54, []),
        (1.0, 0.46, []),  # more recall than real images is no fault, less alike within 0.05 neither
        (0.79, 0.5, ["recall"]),
        (0.9, 0.56, ["ms_ssim"]),
        (0.9, 0.44, ["ms_ssim"]),
        (0.5, 0.7, ["recall", "ms_ssim"]),
    ],
)
def test_what_misses_it(recall: float, ms_ssim: float, expected: list[str]) -> None:
    assert missed(recall, ms_ssim) == expected


def test_a_distance_of_just_as_much_passes_whatever_the_shares_round_to() -> None:
    reach = round(GATE["recall"] * N)
    for n in range(reach, N + 1):
        assert missed((n - reach) / N, 0.5, n / N) == []
        assert missed((n - reach - 1) / N, 0.5, n / N) == ["recall"]


def test_how_often_real_images_pass_is_counted_over_pairs() -> None:
    quality = Quality(extractor="e", good=GOOD, gate=GATE, classes={})
    one, like_it, less = ({"recall": r, "ms_ssim": 0.5} for r in (0.9, 0.85, 0.7))
    pairs = [(one, like_it), (like_it, one), (less, one), (one, less)]
    # More recall than the other is no fault: of the last two the first alone fails.
    assert real_share([(quality, *pair) for pair in pairs]) == 0.75
    assert real_share([]) is None
    assert real_share([(quality, {"recall": 0.9}, one)]) is None
