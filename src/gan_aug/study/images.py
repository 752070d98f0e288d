"""The images that the arms of a draw train on; what several arms need is made once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gan_aug.arms.base import Draw, mixing_of, source_of
from gan_aug.arms.unlabelled import unlabelled_of
from gan_aug.data.image_table import Images
from gan_aug.data.origin import Manifest
from gan_aug.data.prepare import Prepared
from gan_aug.data.splits import Splits
from gan_aug.data.synthetic import DamagedSet, Generated, read_set, write_set
from gan_aug.models.classifier import Classifier, probabilities
from gan_aug.report.records import GANFacts
from gan_aug.runtime.errors import GanAugError, warn
from gan_aug.runtime.files import remove_folder
from gan_aug.runtime.progress import stage
from gan_aug.settings.arms import SettledArm
from gan_aug.settings.study import SettledStudy
from gan_aug.study.batches import AddedImages
from gan_aug.study.fits import FOR_ADDED_IMAGES, fit_arm
from gan_aug.study.gans import checkpoint_of, find_or_fit, made_by, sampling_seed


class DrawImages(Draw):
    """Supplies what the arms of one draw train on.

    Attributes:
        gans: class name to the GAN that made its images, as far as any arm needed one.
        other_gans: GANs whose quality is not measured, by what they are: replicates, which differ
            from the others by their weights alone, and one that is fitted on unlabelled images.
    """

    def __init__(self, settings: SettledStudy, prepared: Prepared, folder: Path) -> None:
        super().__init__(settings, prepared.splits, folder)
        self.gans: dict[str, GANFacts] = {}
        self.other_gans: dict[str, GANFacts] = {}
        self._prepared = prepared

    def added(self, arm: SettledArm) -> AddedImages:
        """Return the images that an arm adds, and those that it learns from without a label.

        Raises:
            GanAugError: there are not as many.
        """
        source, classes = source_of(arm), self.splits.classes
        images = [np.asarray(self.splits.train.images[:0])]
        labels, rows = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for label, name in enumerate(classes):
            count = arm.added.count[name] if arm.added.source != "none" else 0
            if count:
                taken = source.take(arm, self, name, count)
                images.append(taken.images)
                rows.append(np.full(count, -1) if taken.rows is None else taken.rows)
                labels.append(np.full(count, label, np.int64))
        pixels = np.concatenate(images)
        predicted = arm.added.labels is not None and len(pixels)
        soft = self.probabilities(pixels) if predicted else None
        unlabelled = None
        if mixing_of(arm).unlabelled:
            unlabelled = np.asarray(unlabelled_of(self.settings, self.splits).images)
        return AddedImages(
            pixels, np.concatenate(labels), classes, soft, np.concatenate(rows), unlabelled
        )

    def probabilities(self, images: Images) -> NDArray[np.float32]:
        """Return (N, K) probabilities by a classifier of the draw's real images alone."""
        module = self.once("real classifier", self._fit_on_real)
        of_images: NDArray[np.float32] = probabilities(module, images).numpy()
        return of_images

    def _fit_on_real(self) -> Classifier:
        stage("classifier for added images")
        splits, settings = self.splits, self.settings
        nothing = AddedImages(splits.train.images[:0], np.zeros(0, np.int64), splits.classes)
        plain = settings.arms["real"]  # as this arm is fitted, whichever others there are
        fit, _ = fit_arm(
            settings, plain, splits.train, nothing, FOR_ADDED_IMAGES, splits.validation
        )
        return fit.module

    def made(self, name: str, replicate: int = 0) -> Generated:
        """Return all images of a class that the draw's GAN, or a replicate of it, makes.

        They are as many as any arm needs, written, and read back, checked.
        """
        made: Generated = self.once(("GAN", name, replicate), lambda: self._make(name, replicate))
        return made

    def _make(self, name: str, replicate: int) -> Generated:
        settings, number = self.settings, [replicate] if replicate else []
        gan = find_or_fit(settings, self._prepared, name, replicate)
        if replicate:
            self.other_gans[f"{name}, replicate {replicate}"] = gan
        else:
            self.gans[name] = gan
        wanted = [source_of(arm).of_own_gans(arm) for arm in settings.arms.values()]
        most = max(n for gans in wanted for (of_class, _), n in gans.items() if of_class == name)
        folder = self.folder / "synthetic" / "_".join(map(str, [name, "gan", *number]))
        seed = sampling_seed(settings, name, replicate)
        try:
            return self._read_set(gan, name, folder, most, seed)
        except DamagedSet as error:  # the same GAN and seed give the same images
            warn(f"{error.what}; generating the set again")
        remove_folder(folder)
        return self._read_set(gan, name, folder, most, seed)

    def _read_set(self, gan: GANFacts, name: str, folder: Path, count: int, seed: int) -> Generated:
        """Return a synthetic set of a class, written unless an earlier attempt has.

        Raises:
            GanAugError: there is another set in the folder, or its GAN saw what it must not.
        """
        if not folder.exists():
            made, head, _ = made_by(self.settings, gan, name, count, seed, self.splits)
            write_set(folder, {name: made}, head)
        manifest = Manifest.of(folder, "synthetic set")
        says = (manifest.checkpoint_sha256, manifest.count, manifest.seed)
        if says != (gan.checkpoint_sha256, {name: count}, seed):
            raise GanAugError(f"{folder}: holds images of another GAN; remove this draw's folder")
        written = read_set(folder, None, self.settings.data.image_size, self.splits)
        return written.by_class[name]

    def fit_gan(self, splits: Splits, name: str) -> Path:
        """Fit the study's GAN on other images than the draw's; return its checkpoint.

        Its last weights are taken: what would choose others knows the draw's classes.
        """
        settings = with_last_weights(self.settings)
        gan = self.other_gans[name] = find_or_fit(settings, Prepared(splits, None), name)
        return checkpoint_of(gan.folder)


def with_last_weights(settings: SettledStudy) -> SettledStudy:
    """Return settings by which nothing chooses the weights of a GAN."""
    by_nothing = dict.fromkeys(f"study.gan_{key}" for key in ("select", "curve_points", "fits"))
    return settings.changed(SettledStudy, by_nothing)
