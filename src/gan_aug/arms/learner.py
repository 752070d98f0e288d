"""A learner: the classifier learns from images whose labels no arm reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from gan_aug.arms.base import ArmImages, Mixing, Parts, Settled, Typed
from gan_aug.arms.unlabelled import unlabelled_of
from gan_aug.runtime.errors import GanAugError
from gan_aug.settings.models import LearnerNode
from gan_aug.settings.values import Wanted

if TYPE_CHECKING:
    from gan_aug.data.batches import Batch


class Learning(Mixing):
    """Unlabelled images stand beside each batch of the draw's, for the arm's learner.

    They are the first `study.unlabelled` of the images that the draw leaves over. The batch of
    labelled images is that of an arm without a learner.
    """

    of_arm = True
    alone = "learns from unlabelled images beside the labelled ones"
    learner: Annotated[LearnerNode | None, Wanted("one of conf/learner, or null")] = Field(
        default=None, description="how it learns from images without labels; null: it does not"
    )

    @property
    def unlabelled(self) -> int:
        """How many of them a batch has."""
        return 0 if self.learner is None else self.learner.batch_size

    def refused(self, typed: Typed, reason: str) -> GanAugError:
        """Return the line, which names the learner by its key: its settings are many."""
        return GanAugError(f"{typed.key}.learner: {reason}")

    def check(self, typed: Typed) -> None:
        """Check that there are unlabelled images, and no added ones."""
        if typed.name == "real":
            raise self.refused(
                typed, "the others are compared with this arm, which learns from labels; set null"
            )
        if typed.settings.study.unlabelled is None:
            raise self.refused(
                typed, "there are no images to learn from; set study.unlabelled=NUMBER"
            )
        if typed.arm.added.source != "none":
            raise self.refused(
                typed, f"{self.alone}, and adds no images; set {typed.key}.added.source=none"
            )

    def check_settled(self, settled: Settled) -> None:
        """Check that the draw leaves as many images over."""
        unlabelled_of(settled.settings, settled.splits)

    def parts(self, images: ArmImages, batch_size: int, title: str) -> Parts:
        """Return a group of labelled and one of unlabelled images."""
        real, _, unlabelled = images.rows
        return Parts([(real, batch_size), (unlabelled, self.unlabelled)])

    def combine(self, batch: Batch, random: np.random.Generator) -> Batch:
        """Set the unlabelled images of a batch apart, without a label."""
        n = len(batch["label"]) - self.unlabelled
        labelled = {name: column[:n] for name, column in batch.items()}
        return labelled | {"unlabelled": batch["image"][n:]}
