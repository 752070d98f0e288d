"""A learner: the classifier learns from images whose labels no arm reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from gan_aug.arms.base import ArmImages, Mixing, Parts
from gan_aug.arms.unlabelled import unlabelled_of
from gan_aug.data.splits import Splits
from gan_aug.runtime.errors import GanAugError
from gan_aug.settings.models import LearnerNode
from gan_aug.settings.values import Wanted

if TYPE_CHECKING:
    from gan_aug.data.batches import Batch
    from gan_aug.settings.arms import ArmSettings, SettledArm
    from gan_aug.settings.study import SettledStudy, StudySettings


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

    def refused(self, where: str, reason: str) -> GanAugError:
        """Return the line, which names the learner by its key: its settings are many."""
        return GanAugError(f"{where}.learner: {reason}")

    def check(self, where: str, arm: ArmSettings, settings: StudySettings) -> None:
        """Check that there are unlabelled images, and no added ones."""
        if where == "arms.real":
            raise self.refused(
                where, "the others are compared with this arm, which learns from labels; set null"
            )
        if settings.study.unlabelled is None:
            raise self.refused(
                where, "there are no images to learn from; set study.unlabelled=NUMBER"
            )
        if arm.added.source != "none":
            raise self.refused(
                where, f"{self.alone}, and adds no images; set {where}.added.source=none"
            )

    def check_settled(
        self, where: str, arm: SettledArm, settings: SettledStudy, splits: Splits
    ) -> None:
        """Check that the draw leaves as many images over."""
        unlabelled_of(settings, splits)

    def parts(self, images: ArmImages, batch_size: int, title: str) -> Parts:
        """Return a group of labelled and one of unlabelled images."""
        real, _, unlabelled = images.rows
        return Parts([(real, batch_size), (unlabelled, self.unlabelled)])

    def combine(self, batch: Batch, random: np.random.Generator) -> Batch:
        """Set the unlabelled images of a batch apart, without a label."""
        n = len(batch["label"]) - self.unlabelled
        labelled = {name: column[:n] for name, column in batch.items()}
        return labelled | {"unlabelled": batch["image"][n:]}
