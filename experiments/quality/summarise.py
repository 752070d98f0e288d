"""The table of several evaluations of GANs that differ by their training seed.

python experiments/quality/summarise.py runs/evaluate_multirun/TIME/{0,1,2}
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

CONTROLS = ("copies", "one image", "flipped", "noise")
GOOD = {"lower": "low", "higher": "high", "baseline": "as real"}


def main(folders: list[Path]) -> None:
    found = [json.loads((folder / "metrics.json").read_text()) for folder in folders]
    extractors = {metrics["extractor"] for metrics in found}
    assert len(extractors) == 1, f"numbers of {sorted(extractors)} have no common scale"
    (name,) = found[0]["classes"]
    classes = [metrics["classes"][name] for metrics in found]
    print(f"{name}, features of {extractors.pop()}, images: {classes[0]['images']}")
    print(f"reference classifier: {found[0]['reference_classifier']}\n")
    titles = [f"seed {i}" for i in range(len(found))]
    print("| | good | " + " | ".join([*titles, "unseen real", *CONTROLS]) + " |")
    print("| --- " * (len(titles) + 3 + len(CONTROLS)) + "|")
    for value, good in found[0]["good"].items():
        generated = [c["values"]["generated"][value] for c in classes]
        # The baseline is the same for every seed but where the discriminator is asked.
        baseline = sorted({round(c["values"]["real"][value], 10) for c in classes})
        cells = [f"{x:.3g}" for x in generated]
        cells.append(" to ".join(f"{x:.3g}" for x in {baseline[0]: 0, baseline[-1]: 0}))
        for control in CONTROLS:
            x = classes[0]["values"].get(control, {}).get(value)
            cells.append("" if x is None else f"{x:.3g}")
        print(f"| {value} | {GOOD[good]} | " + " | ".join(cells) + " |")
    seconds = classes[0]["seconds"]
    print(f"\nseconds of the metrics, seed 0: {seconds}; together {sum(seconds.values()):.0f}")


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
