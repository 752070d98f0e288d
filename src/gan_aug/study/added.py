"""The real images of an arm, and those that it adds to them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig

from gan_aug.data.image_table import ImageTable
from gan_aug.data.prepare import Prepared
from gan_aug.data.synthetic import Generated
from gan_aug.evaluation.subject import source_images
from gan_aug.metrics.precision_recall import distances
from gan_aug.models.fit import Fit
from gan_aug.models.inference import probabilities
from gan_aug.run.errors import GanAugError
from gan_aug.run.progress import stage
from gan_aug.run.seeds import stream_seed
from gan_aug.settings.draw import AddedSettings, ArmSettings, arms_of
from gan_aug.settings.gan_classes import classes_made
from gan_aug.settings.ruler import ARM
from gan_aug.study.batches import AddedImages
from gan_aug.study.fitting import arm_data, fit_arm
from gan_aug.study.gans import FittedGAN, find_or_fit, synthetic_set
from gan_aug.study.unlabelled import (
    CANDIDATES,
    NAME,
    fit_on_unlabelled,
    judged_set,
    unlabelled_of,
)


def judges(added: AddedSettings) -> bool:
    """Tell whether what an arm adds is looked at by a classifier first."""
    filtered = added.source == "gan" and bool(added.filter.min_confidence)
    labelled = added.labels is not None or bool(added.unlabelled)
    return filtered or (added.source != "none" and labelled)


class AddedByArm:
    """Supplies what the arms of one draw add; what several arms need is made once.

    Args:
        cfg: the study's configuration.
        prepared: the draw.
        folder: the job's; synthetic sets are written into it.

    Attributes:
        gans: class name to the GAN that made its images, as far as any arm needed one.
        twins: likewise, of GANs whose quality is not measured: those that differ from the others
            by their weights alone, and one that is fitted on unlabelled images.
    """

    def __init__(self, cfg: DictConfig, prepared: Prepared, folder: Path) -> None:
        self._cfg, self._prepared, self._folder = cfg, prepared, folder
        self._splits, self._arms = prepared.splits, arms_of(cfg)
        self._generated: dict[tuple[str, int], Generated] = {}
        self._judge: Fit | None = None
        self.gans: dict[str, FittedGAN] = {}
        self.twins: dict[str, FittedGAN] = {}
        self._unlabelled: dict[str, dict[str, NDArray[np.uint8]]] = {}

    def of(self, arm: ArmSettings) -> AddedImages:
        """Return the images that an arm adds.

        Raises:
            GanAugError: there are not as many as it asks for.
        """
        empty = self._splits.train.images[:0]
        images, labels = [np.asarray(empty)], [np.zeros(0, np.int64)]
        sources = [np.zeros(0, np.int64)]
        for label, name in enumerate(self._splits.classes):
            count = arm.added.count[name] if arm.added.source != "none" else 0
            if count:
                taken, of = self._take(arm, name, count)
                images.append(taken)
                sources.append(of)
                labels.append(np.full(count, label, np.int64))
        all_images, classes = np.concatenate(images), self._splits.classes
        soft = None
        if arm.added.labels is not None and len(all_images):
            soft = probabilities(self._judging().module, all_images).numpy()
        return AddedImages(
            all_images, np.concatenate(labels), classes, soft, np.concatenate(sources)
        )

    def real(self, arm: ArmSettings) -> ImageTable:
        """Return an arm's real images: all of the draw's, or the first so many of each class."""
        train = self._splits.train
        if arm.real is None:
            return train
        rows = []
        for label, name in enumerate(self._splits.classes):
            of_class = np.flatnonzero(train.labels == label)
            count = len(of_class) if arm.real[name] is None else arm.real[name]
            rows.append(self._random("first", name).permutation(of_class)[:count])
        # In the draw's order: as many images as it has are just its own.
        return train.take(np.sort(np.concatenate(rows)))

    def generated(self, name: str) -> NDArray[np.uint8]:
        """Return all images generated of a class, uint8 (N, C, H, W)."""
        return self._generated[name, 0].images

    def check_real(self, arm_name: str, arm: ArmSettings) -> None:
        """Check that the draw has as many real images as an arm takes, and leaves as many over.

        Raises:
            GanAugError: it does not.
        """
        for name, own in self._splits.train.counts().items():
            first = None if arm.real is None else arm.real[name]
            if first is not None and first > own:
                raise GanAugError(
                    f"arms.{arm_name}.real.{name}={first}: the draw has only {own} {name} images; "
                    "ask for fewer"
                )
        if arm.added.paired:
            self._check_pairs(arm_name, arm)
        if arm.added.unlabelled:
            unlabelled_of(self._cfg, self._splits)
            return
        for name in self._splits.classes if arm.added.source == "real" else ():
            where = " in study.ruler" if arm_name.startswith(ARM.format("")) else ""
            count, left = arm.added.count[name], self._splits.unused.counts()[name]
            if count > left:
                raise GanAugError(
                    f"arms.{arm_name}.added.count.{name}={count}: the draw leaves only {left} "
                    f"{name} training images over; ask for fewer{where}"
                )

    def _check_pairs(self, arm_name: str, arm: ArmSettings) -> None:
        model, classes = self._cfg.model, list(self._splits.classes)
        own, paired = self._splits.train.counts(), set()
        for name in classes:
            made_of = [name]
            if arm.added.source == "gan":
                train_class = name if model.fitted_on == "one" else None
                made_of = classes_made(model, train_class, classes).get(name, [])
            paired |= set(made_of)
            needed = sum(own[of] for of in made_of)
            if arm.added.count[name] < needed:
                raise GanAugError(
                    f"arms.{arm_name}.added.count.{name}={arm.added.count[name]}: with "
                    f"added.paired each of the {needed} {' and '.join(made_of)} images has one; "
                    f"set it to {needed} or more"
                )
        if alone := set(classes) - paired:
            raise GanAugError(
                f"arms.{arm_name}.added.paired=True: model={model.name} translates no "
                f"{' and no '.join(sorted(alone))}; choose a model.pair, or a model, of all classes"
            )

    def _take(
        self, arm: ArmSettings, name: str, count: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return images of a class, and which of the arm's real ones each was made of, or -1."""
        if arm.added.unlabelled:
            return self._judged(arm, name, count), np.full(count, -1)
        if arm.added.source == "gan":
            made = self._from_gan(arm, name, count)
            return made.images, self._rows_of(made)
        if arm.added.source == "duplicate":
            real = self.real(arm)
            of_class = np.flatnonzero(real.labels == self._splits.classes.label(name))
            # Whole copies first: each image is copied as often as any other, within one.
            order = self._random("duplicate", name).permutation(len(of_class))
            rows = of_class[np.resize(order, count)]
            return np.asarray(real.images)[rows], rows
        table = self._splits.unused.of_class(name)
        order = self._random("real", name).permutation(len(table))
        return np.asarray(table.images)[order[:count]], np.full(count, -1)

    def _judged(self, arm: ArmSettings, name: str, count: int) -> NDArray[np.uint8]:
        """Return images of a class that nobody told but the classifier of the draw's real ones."""
        source = arm.added.source
        if source not in self._unlabelled:
            table = unlabelled_of(self._cfg, self._splits)
            if source == "gan":
                self._unlabelled[source] = self._made_of_unlabelled(table)
            else:
                images, of_class = np.asarray(table.images), self._classes_of(table.images)
                self._unlabelled[source] = {
                    name: images[of_class == i] for i, name in enumerate(self._splits.classes)
                }
        found = self._unlabelled[source][name]
        if len(found) < count:
            more = "study.gan_batches" if source == "gan" else "study.unlabelled"
            raise GanAugError(
                f"arm {arm.title!r}: only {len(found)} images are taken for {name}, {count} are "
                f"wanted; lower added.count, or raise {more}"
            )
        return found[:count]

    def _made_of_unlabelled(self, table: ImageTable) -> dict[str, NDArray[np.uint8]]:
        cfg, splits = self._cfg, self._splits
        gan = self.twins[NAME] = fit_on_unlabelled(cfg, splits, table)
        counts = [
            sum(arm.added.count.values())
            for arm in self._arms.values()
            if arm.added.unlabelled and arm.added.source == "gan"
        ]
        folder = self._folder / "synthetic" / f"{NAME}_gan"
        made = judged_set(
            cfg, splits, table, gan, CANDIDATES * max(counts), self._classes_of, folder
        )
        return {name: of.images for name, of in made.items()}

    def _classes_of(self, images: NDArray[np.uint8]) -> NDArray[np.int64]:
        found: NDArray[np.int64] = probabilities(self._judging().module, images).argmax(1).numpy()
        return found

    def _rows_of(self, made: Generated) -> NDArray[np.int64]:
        """Return which of the draw's images each was translated from, or -1."""
        if made.sources is None:
            return np.full(len(made), -1)
        row = {digest: i for i, digest in enumerate(self._splits.train.hashes.tolist())}
        return np.array([row[digest] for digest in made.sources], np.int64)

    def _random(self, *purpose: str) -> np.random.Generator:
        return np.random.default_rng(stream_seed(*purpose, self._cfg.seed, self._cfg.draw))

    def _from_gan(self, arm: ArmSettings, name: str, count: int) -> Generated:
        made = self._candidates(name, arm.added.twin or 0)
        wanted = arm.added.filter
        if not wanted.on:
            return made.first(count)
        made = made.first(count * wanted.candidates)
        candidates = made.images
        keep = np.ones(len(candidates), bool)
        if wanted.min_confidence:
            found = probabilities(self._judging().module, candidates).numpy()
            keep &= found[:, self._splits.classes.label(name)] >= wanted.min_confidence
        if wanted.min_distance:
            keep &= far_enough(made, self._splits.train, name, wanted.min_distance)
        if keep.sum() < count:
            raise GanAugError(
                f"arm {arm.title!r}: only {keep.sum()} of {len(candidates)} {name} GAN images pass "
                f"the filter, {count} are wanted; raise added.filter.candidates or loosen it"
            )
        kept = np.flatnonzero(keep)[:count]
        sources = None if made.sources is None else [made.sources[i] for i in kept]
        return Generated(candidates[kept], sources)

    def _judging(self) -> Fit:
        """Return the classifier that judges added images: of the draw's own real images alone."""
        if self._judge is None:
            stage("judge of added images")
            splits = self._splits
            nothing = AddedImages(splits.train.images[:0], np.zeros(0, np.int64), splits.classes)
            # As the arm `real` is fitted, whichever arms there are.
            plain = self._arms["real"]
            data = arm_data(self._cfg, plain, splits.train, nothing, "judge", splits.validation)
            self._judge = fit_arm(self._cfg, plain, data, "judge")
        return self._judge

    def _candidates(self, name: str, twin: int) -> Generated:
        """Fit the GAN, generate as many images as any arm needs, and read them back, checked."""
        if (name, twin) not in self._generated:
            gan = find_or_fit(self._cfg, self._prepared, name, twin)
            if twin:
                self.twins[f"{name}, twin {twin}"] = gan
            else:
                self.gans[name] = gan
            number = [twin] if twin else []
            folder = self._folder / "synthetic" / "_".join(map(str, [name, "gan", *number]))
            seed = stream_seed("latents", self._cfg.seed, self._cfg.draw, name, *number)
            found = synthetic_set(
                self._cfg, gan, name, folder, self._most(name), seed, self._splits
            )
            self._generated[name, twin] = found.of_class(name)
        return self._generated[name, twin]

    def _most(self, name: str) -> int:
        """Return the largest number of images of a class that any arm needs to choose from."""
        needs = []
        for arm in self._arms.values():
            if arm.added.source == "gan" and not arm.added.unlabelled:
                wanted = arm.added.filter
                needs.append(arm.added.count[name] * (wanted.candidates if wanted.on else 1))
        return int(max(needs))


def far_enough(
    made: Generated, train: ImageTable, name: str, min_distance: float
) -> NDArray[np.bool_]:
    """Tell which generated images are copies neither of training images nor of their own sources.

    Args:
        made: images of a class.
        train: the draw's training images.
        name: the class.
        min_distance: from the nearest real image of the class, and from the source, in medians of
            the distances between real images of the class and their nearest neighbours.

    Returns:
        (N,), True for an image at least so far from each.
    """
    real = np.asarray(train.of_class(name).images)
    least = min_distance * np.median(nearest_distance(real, real, same=True))
    far = nearest_distance(made.images, real) >= least
    if (sources := source_images(made, train)) is not None:
        far &= own_distance(made.images, sources) >= least
    return far


def own_distance(images: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the root mean square distance of each image to the one at its place, 0 to 255."""
    difference = images.astype(np.float64) - others
    found: NDArray[np.float64] = np.sqrt(np.square(difference).mean(axis=(1, 2, 3)))
    return found


def nearest_distance(
    images: NDArray[np.uint8], others: NDArray[np.uint8], same: bool = False
) -> NDArray[np.float64]:
    """Return each image's root mean square distance to its nearest neighbour.

    Args:
        images: uint8 (N, C, H, W).
        others: uint8 (M, C, H, W).
        same: the two are the same images; an image is not its own neighbour.

    Returns:
        (N,) on the scale of the pixels, 0 to 255.
    """
    a, b = (torch.from_numpy(x.reshape(len(x), -1)).double() for x in (images, others))
    found = distances(a, b)
    if same:
        found.fill_diagonal_(torch.inf)
    nearest: NDArray[np.float64] = found.min(dim=1).values.numpy() / a.shape[1] ** 0.5
    return nearest
