"""The images that the arms of a draw train on; what several arms need is made once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_aug.arms.base import source_of
from gan_aug.data.image_table import Images, ImageTable
from gan_aug.data.prepare import Prepared
from gan_aug.data.splits import Splits
from gan_aug.data.synthetic import Generated
from gan_aug.models.classifier import Classifier
from gan_aug.models.gans.base import GAN
from gan_aug.models.inference import probabilities
from gan_aug.run.progress import stage
from gan_aug.run.seeds import stream_seed
from gan_aug.settings.arms import SettledArm
from gan_aug.settings.study import SettledStudy
from gan_aug.study.batches import AddedImages
from gan_aug.study.fitting import FOR_ADDED_IMAGES, arm_data, fit_arm
from gan_aug.study.gans import FittedGAN, find_or_fit, fit_on_other_images, own_gan, synthetic_set


class DrawImages:
    """Supplies what the arms of one draw train on (`gan_aug.arms.base.Draw`).

    Args:
        settings: of the study.
        prepared: the draw.
        folder: the job's; synthetic sets are written into it.

    Attributes:
        gans: class name to the GAN that made its images, as far as any arm needed one.
        other_gans: GANs whose quality is not measured, by what they are: replicates, which differ
            from the others by their weights alone, and one that is fitted on unlabelled images.
    """

    def __init__(self, settings: SettledStudy, prepared: Prepared, folder: Path) -> None:
        self.settings = settings
        self.splits, self.folder = prepared.splits, folder
        self.gans: dict[str, FittedGAN] = {}
        self.other_gans: dict[str, FittedGAN] = {}
        self._prepared = prepared
        self._kept: dict[Hashable, Any] = {}

    def added(self, arm: SettledArm) -> AddedImages:
        """Return the images that an arm adds.

        Raises:
            GanAugError: there are not as many as it asks for.
        """
        source, classes = source_of(arm), self.splits.classes
        images = [np.asarray(self.splits.train.images[:0])]
        labels, rows = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for label, name in enumerate(classes):
            count = arm.added.count[name] if arm.added.source != "none" else 0
            if count:
                taken = source.take(arm, self, name, count)
                images.append(taken.images)
                rows.append(taken.rows)
                labels.append(np.full(count, label, np.int64))
        pixels = np.concatenate(images)
        predicted = arm.added.labels is not None and len(pixels)
        soft = self.probabilities(pixels) if predicted else None
        return AddedImages(pixels, np.concatenate(labels), classes, soft, np.concatenate(rows))

    def real(self, arm: SettledArm) -> ImageTable:
        """Return an arm's real images: all of the draw's, or the first so many of each class."""
        train = self.splits.train
        if arm.real is None:
            return train
        rows = []
        for label, name in enumerate(self.splits.classes):
            of_class = np.flatnonzero(train.labels == label)
            count = len(of_class) if arm.real[name] is None else arm.real[name]
            rows.append(self.random("first", name).permutation(of_class)[:count])
        # In the draw's order: as many images as it has are just its own.
        return train.take(np.sort(np.concatenate(rows)))

    def random(self, *purpose: str) -> np.random.Generator:
        """Return random numbers for a purpose, the same for all arms of the draw."""
        return np.random.default_rng(stream_seed(*purpose, self.settings.seed, self.settings.draw))

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return what `make` gives, made once for all arms."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def probabilities(self, images: Images) -> NDArray[np.float32]:
        """Return (N, K) probabilities by a classifier of the draw's real images alone."""
        module = self.once("real classifier", self._fit_on_real)
        of_images: NDArray[np.float32] = probabilities(module, images).numpy()
        return of_images

    def _fit_on_real(self) -> Classifier:
        stage("classifier for added images")
        train = self.splits.train
        nothing = AddedImages(train.images[:0], np.zeros(0, np.int64), self.splits.classes)
        plain = self.settings.arms["real"]  # as this arm is fitted, whichever others there are
        validation = self.splits.validation
        data = arm_data(self.settings, plain, train, nothing, FOR_ADDED_IMAGES, validation)
        return fit_arm(self.settings, plain, data, FOR_ADDED_IMAGES).module

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
        seed = stream_seed("latents", settings.seed, settings.draw, name, *number)
        return synthetic_set(settings, gan, name, folder, most, seed, self.splits).of_class(name)

    def fit_gan(self, splits: Splits, name: str) -> Path:
        """Fit the study's GAN on other images than the draw's; return its checkpoint."""
        gan = self.other_gans[name] = fit_on_other_images(self.settings, splits, name)
        return gan.checkpoint

    def own_gan(self) -> GAN:
        """Return the study's GAN, untrained."""
        return own_gan(self.settings)
