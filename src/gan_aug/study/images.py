"""The images that the arms of a draw train on; what several arms need is made once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gan_aug.arms.base import ArmImages, Draw, mixing_of, own_gans, source_of
from gan_aug.arms.unlabelled import unlabelled_of
from gan_aug.data.image_table import ClassImages, Images
from gan_aug.data.origin import Manifest
from gan_aug.data.splits import Splits
from gan_aug.data.synthetic import DamagedSet, read_set, write_set
from gan_aug.models.classifier import Classifier, probabilities
from gan_aug.runtime.errors import GanAugError, warn
from gan_aug.runtime.files import remove_folder
from gan_aug.runtime.progress import stage
from gan_aug.settings.arms import SettledArm
from gan_aug.settings.base import Plain
from gan_aug.settings.study import SettledStudy
from gan_aug.study.fits import FOR_ADDED_IMAGES, fit_arm
from gan_aug.study.gans import GANFit, find_or_fit, sampling_seed


class DrawImages(Draw):
    """Supplies what the arms of one draw train on.

    Attributes:
        gans: class name to the GAN that made its images, as far as any arm needed one.
        other_gans: GANs whose quality is not measured, by what they are: replicates, which differ
            from the others by their weights alone, and one that is fitted on unlabelled images.
    """

    def __init__(self, settings: SettledStudy, splits: Splits, folder: Path) -> None:
        super().__init__(settings, splits, folder)
        self.gans: dict[str, GANFit] = {}
        self.other_gans: dict[str, GANFit] = {}

    def of_arm(self, arm: SettledArm) -> ArmImages:
        """Return all that an arm trains on.

        Raises:
            GanAugError: there are not as many.
        """
        source, counts = source_of(arm), arm.added.count
        added = {
            name: source.take(arm, self, name, counts[name])
            for name in self.splits.classes
            if counts[name]
        }
        images = ArmImages.of(self.real(arm), added)
        if arm.added.labels is not None and len(images.added):
            images = replace(images, soft=self.probabilities(images.added))
        if mixing_of(arm).unlabelled:
            unlabelled = np.asarray(unlabelled_of(self.settings, self.splits).images)
            images = replace(images, unlabelled=unlabelled)
        return images

    def probabilities(self, images: Images) -> NDArray[np.float32]:
        """Return (N, K) probabilities by a classifier of the draw's real images alone."""
        module = self.once("real classifier", self._fit_on_real)
        of_images: NDArray[np.float32] = probabilities(module, images).numpy()
        return of_images

    def _fit_on_real(self) -> Classifier:
        stage("classifier for added images")
        splits, settings = self.splits, self.settings
        plain = settings.arms["real"]  # as this arm is fitted, whichever others there are
        alone = ArmImages.of(splits.train, {})
        fit, _ = fit_arm(settings, plain, alone, FOR_ADDED_IMAGES, splits.validation)
        return fit.module

    def made(self, name: str, replicate: int = 0) -> ClassImages:
        """Return all images of a class that the draw's GAN, or a replicate of it, makes.

        They are as many as any arm needs, written, and read back, checked.
        """
        made: ClassImages = self.once(("GAN", name, replicate), lambda: self._make(name, replicate))
        return made

    def _make(self, name: str, replicate: int) -> ClassImages:
        settings, number = self.settings, [replicate] if replicate else []
        gan = find_or_fit(settings, self.splits, name, replicate)
        if replicate:
            self.other_gans[f"{name}, replicate {replicate}"] = gan
        else:
            self.gans[name] = gan
        folder = self.folder / "synthetic" / "_".join(map(str, [name, "gan", *number]))
        seed, count = (
            sampling_seed(settings, name, replicate),
            own_gans(settings.arms)[name, replicate],
        )
        try:
            return self._read_set(gan, folder, count, seed)
        except DamagedSet as error:  # the same GAN and seed give the same images
            warn(f"{error.what}; generating the set again")
        remove_folder(folder)
        return self._read_set(gan, folder, count, seed)

    def _read_set(self, gan: GANFit, folder: Path, count: int, seed: int) -> ClassImages:
        """Return a synthetic set of a class, written unless an earlier attempt has.

        Raises:
            GanAugError: there is another set in the folder, or its GAN saw what it must not.
        """
        if not folder.exists():
            made, head, _ = gan.images(count, seed)
            write_set(folder, {gan.name: made}, head)
        manifest = Manifest.of(folder, "synthetic set")
        says = (manifest.checkpoint_sha256, [*manifest.count], manifest.seed)
        wanted = (gan.facts.checkpoint_sha256, [gan.name], seed)
        if says != wanted or manifest.count[gan.name] < count:  # of more the first are taken
            raise GanAugError(f"{folder}: holds images of another GAN; remove this draw's folder")
        written = read_set(folder, self.splits)
        return written.by_class[gan.name]

    def made_of(
        self, splits: Splits, name: str, count: int, seed: int
    ) -> tuple[ClassImages, Plain]:
        """Return images by the study's GAN, fitted on other images than the draw's; and its facts.

        Its last weights are taken: what would choose others knows the draw's classes.
        """
        gan = self.other_gans[name] = find_or_fit(with_last_weights(self.settings), splits, name)
        made, head, _ = gan.images(count, seed)
        return made, head


def with_last_weights(settings: SettledStudy) -> SettledStudy:
    """Return settings by which nothing chooses the weights of a GAN."""
    by_nothing = dict.fromkeys(f"study.gan_{key}" for key in ("select", "curve_points", "fits"))
    return settings.changed(SettledStudy, by_nothing)
