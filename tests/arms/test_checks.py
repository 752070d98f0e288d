"""What an arm cannot be is one line, before anything is fitted."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import ROOT, TINY_STUDY, refused, settled_study

from gan_aug.arms.check import check_arms, check_settled_arms

NAMES = (
    *("real", "gan", "duplicate", "more_real", "mixup", "paired", "pretrain", "unlabelled_gan"),
    *("self_training", "randaugment", "trivialaugment", "cutmix", "mixup_real", "sgan", "fixmatch"),
)
STUDY = (
    *(one for one in TINY_STUDY if not one.startswith(("model.", "data.subset"))),
    *(f"+arm@arms.{name}={name}" for name in NAMES),
    *("data.subset=30", "study.count=30", "study.unlabelled=100"),
    "study.question={arm: gan, reference: duplicate}",
)
KINDS = {"cyclegan": ("model=cyclegan", "~arms.unlabelled_gan"), "dcgan": ("~arms.paired",)}
"""GANs that translate, and make images of nothing, without the arms that they cannot have."""


def check(cache_home: Path, overrides: str) -> None:
    """Check the study with other values; `dcgan` chooses the second kind of GAN."""
    typed = overrides.split(" ") if overrides else []
    kind = KINDS["dcgan" if "dcgan" in typed else "cyclegan"]
    others = [one for one in typed if one != "dcgan"]
    check_settled_arms(*settled_study(cache_home, *STUDY, *kind, *others, checked_by=check_arms))


@pytest.mark.parametrize("overrides", ["", "dcgan"])
def test_what_can_be_passes(cache_home: Path, overrides: str) -> None:
    check(cache_home, overrides)


CANNOT_BE = {
    # What may stand there at all.
    "arms.mixup.added.mixup=0": "arms.mixup.added.mixup=0: must be a number above 0",
    "arms.gan.added.labels=mine": "arms.gan.added.labels=mine: must be one of",
    "arms.gan.added.source=web": "arms.gan.added.source=web: must be one of none, duplicate",
    "arms.gan.added.ratio=2": "arms.gan.added.ratio=2: must be a number from 0 to below 1, or null",
    "arms.mixup=null": "arms.mixup=null: an arm is a group of settings, as in conf/arm; to leave",
    # Ways to mix that do not go together.
    "arms.mixup.added.ratio=0.5": "arms.mixup.added.mixup=0.2: puts an added image with every "
    "real one, so added.ratio has no place; leave one of the two out",
    "arms.mixup.pretrain=0.5": "so pretrain has no place",
    "arms.paired.added.mixup=0.2": "so added.paired has no place",
    "arms.paired.balanced=true": "so balanced has no place; leave one of the two out",
    "arms.pretrain.added.ratio=0.5": "keeps added and real images apart, so added.ratio has no",
    "arms.cutmix.mixup=0.2": "arms.cutmix.mixup=0.2: mixes the images of a batch with each other, "
    "so cutmix has no place; leave one of the two out",
    "arms.mixup.cutmix=1": "with every real one, so cutmix has no place",
    "arms.mixup_real.pretrain=0.5": "added and real images apart, so mixup has no place",
    "arms.gan.added.ratio=0.5 arms.gan.mixup=0.2": "with each other, so added.ratio has no place",
    "arms.mixup_real.mixup=0": "arms.mixup_real.mixup=0: must be a number above 0",
    # What each needs.
    "arms.real.added.mixup=0.2": "arms.real.added.mixup=0.2: this arm adds no images to mix in",
    "arms.mixup.added.count=0": "arms.mixup.added.mixup=0.2: needs added images, there are none",
    "arms.pretrain.added.count=0": "arms.pretrain.pretrain=0.33: needs added images of each class",
    "arms.pretrain.added.count='{normal:0,pneumonia:9}'": "it has {'normal': 0, 'pneumonia': 9}",
    "arms.pretrain.pretrain=0.01": "pretrain=0.01: leaves no step of study.steps=12 on one of its",
    "arms.gan.added.ratio=0": "arms.gan.added.ratio=0.0: leaves no added image in a batch of 8",
    "arms.gan.added.ratio=0.999": "arms.gan.added.ratio=0.999: leaves no real image in a batch",
    "arms.gan.added.ratio=0.01": "leaves no added image in a batch of 8 (data.batch_size); choose",
    "arms.paired.added.count=29": "arms.paired.added.count.normal=29: with added.paired each of "
    "the 30 pneumonia images has one; set it to 30 or more",
    "arms.paired.added.filter.min_distance=1": "would leave some image of added.paired alone",
    "arms.paired.added.source=real": "arms.paired.added.paired=True: an image is paired with its",
    "data.batch_size=9": "data.batch_size=9: arms.paired has pairs; choose an even number",
    "arms.gan.real=5": "arms.gan.real=5: this arm takes all of the draw's images, its GAN saw all",
    "arms.duplicate.real=31": "arms.duplicate.real.normal=31: the draw has only 30 normal images",
    "arms.more_real.added.count=999": "arms.more_real.added.count.normal=999: the draw leaves only",
    "dcgan arms.gan.added.replicate=1 arms.mixup.added.replicate=1 arms.pretrain.added.replicate=1":
    "arms: all that add GAN images of normal have added.replicate",
    # A classifier of real images that is asked about others.
    "~arms.real arms.gan.added.labels=predicted": "arms.gan.added.labels: needs the arm real",
    "~arms.real arms.gan.added.filter.min_confidence=0.5": "added.filter.min_confidence: needs the",
    "~arms.real": "arms.self_training.added.unlabelled: needs the arm real, whose classifier",
    # Images without labels.
    "~arms.self_training study.unlabelled=null": "arms.sgan.learner: there are no images to "
    "learn from; set study.unlabelled=NUMBER",
    "arms.sgan.added.source=duplicate": "arms.sgan.learner: learns from unlabelled images "
    "beside the labelled ones, and adds no images; set arms.sgan.added.source=none",
    "arms.sgan.pretrain=0.5": "so pretrain has no place; leave one of the two out",
    "arms.fixmatch.learner.threshold=2": "arms.fixmatch.learner.threshold=2: must be a number from "
    "0 to 1",
    "arms.fixmatch.learner=fixmatch": "arms.fixmatch.learner=fixmatch: must be one of "
    "conf/learner, or null",
    "study.unlabelled=null": "added.unlabelled=true: there are none; set study.unlabelled=NUMBER",
    "study.unlabelled=99999": "study.unlabelled=99999: the draw leaves only",
    "arms.self_training.added.source=gan": "model=cyclegan is fitted on classes, which unlabelled",
    "arms.self_training.added.source=duplicate": "(source: real), not of source=duplicate",
    "dcgan arms.unlabelled_gan.added.replicate=1":
    "arms.unlabelled_gan.added.unlabelled=true: added.replicate has no place beside it",
}  # fmt: skip


@pytest.mark.parametrize("overrides", CANNOT_BE)
def test_what_cannot_be_is_one_line(cache_home: Path, overrides: str) -> None:
    with refused(CANNOT_BE[overrides]):
        check(cache_home, overrides)


def test_no_title_tells_of_another_arm() -> None:
    for path in sorted((ROOT / "conf" / "arm").glob("*.yaml")):
        (title,) = (line for line in path.read_text().splitlines() if line.startswith("title:"))
        assert " arm" not in title, path
