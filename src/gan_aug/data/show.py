"""What a run prints of its data before it trains."""

from __future__ import annotations

from omegaconf import DictConfig

from gan_aug.data.prepare import Prepared
from gan_aug.run.errors import warn


def print_data(data: DictConfig, prepared: Prepared) -> None:
    """Print how many images of which kind the run uses, and where they come from."""
    notes = prepared.splits.notes
    for warning in notes.get("warnings", []):
        warn(warning)
    print(
        f"data={data.name} ({notes.get('root', 'no folder')}), fingerprint {notes['fingerprint']}"
    )
    for name, counts in {
        "available for training": notes["available"]["train"],
        **{key: value for key, value in notes["used"].items() if sum(value.values())},
    }.items():
        print(f"  {name}: " + ", ".join(f"{n} {label}" for label, n in counts.items()))
    if notes["duplicates"]["left_out_of_training"]:
        print(f"  exact duplicates left out: {notes['duplicates']['left_out_of_training']}")
    if conflicts := notes.get("conflicts_left_out"):
        print(f"  images in two classes left out: {len(conflicts)} (listed in run.json)")
    if scaled := notes.get("scaled"):
        print(f"  {scaled}")
    if prepared.synthetic is not None:
        labels = prepared.synthetic.labels
        print(f"  synthetic images added to training: {len(labels)} from {data.synthetic.dir}")
