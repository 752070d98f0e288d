"""Made-up chest radiographs as a data set: no download, any size, fixed by a seed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gan_aug.data.cache import Built, load_or_build
from gan_aug.data.image_table import ImageTable
from gan_aug.data.source import Notes, Source
from gan_aug.data.sources.chest_xray import FOLDERS, TARGETS
from gan_aug.data.sources.radiograph import MIN_SIZE, render
from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.progress import track

VERSION = 1
"""Part of the cache key: change it whenever `render` draws other pixels."""

_SECOND_IMAGE = 0.25
"""Share of images that are a second one of the patient before, as real data sets have."""

_SUBTYPE = {"none": "normal", "lobar": "bacteria", "patchy": "bacteria", "interstitial": "virus"}


@dataclass(frozen=True)
class Phantom:
    """A data set of phantoms: so many of each class in either split.

    The seed fixes every image; other seeds are other patients. `target` is as of the X-rays they
    imitate, a key of `gan_aug.data.sources.chest_xray.TARGETS`.
    """

    train_per_class: int
    test_per_class: int
    seed: int
    target: str = "class"

    def load(self, image_size: int, channels: int, cache_dir: Path) -> Source:
        """Draw (or map from the cache) both splits; raise GanAugError for too small a size."""
        if image_size < MIN_SIZE:
            raise GanAugError(f"data.image_size={image_size}: data=phantom starts at {MIN_SIZE}")
        plans = [*self._plan(0, self.train_per_class), *self._plan(1, self.test_per_class)]
        key = {"phantom": VERSION, "size": image_size, "channels": channels, **vars(self)}
        del key["target"]  # which changes labels alone

        def build() -> Built:
            def one(plan: _Plan) -> NDArray[np.uint8]:
                return render(plan.pattern, plan.image, image_size, plan.anatomy)

            with ThreadPoolExecutor(os.cpu_count()) as pool:
                drawn = track(pool.map(one, plans), "Drawing phantoms (first use)", len(plans))
                images = np.stack(list(drawn))[:, None]
            hashes = [hashlib.sha256(image.tobytes()).hexdigest() for image in images]
            return np.repeat(images, channels, axis=1), {"hashes": hashes}

        images, index = load_or_build(cache_dir, key, build)
        classes = TARGETS[self.target]
        names = [p.class_name if self.target == "class" else _SUBTYPE[p.pattern] for p in plans]
        table = ImageTable(
            images=images,
            labels=np.array([classes.label(name) for name in names], np.int64),
            patients=np.array([p.patient for p in plans]),
            paths=np.array([p.path for p in plans]),
            hashes=np.array(index["hashes"]),
            classes=classes,
        )
        n_train = len(FOLDERS) * self.train_per_class
        return Source(
            train=table.take(slice(None, n_train)),
            test=table.take(slice(n_train, None)),
            notes=Notes(f"made up by gan_aug, seed {self.seed}; not X-rays"),
        )

    def _plan(self, split: int, per_class: int) -> Iterator[_Plan]:
        name = ("train", "test")[split]
        for label, class_name in enumerate(FOLDERS):
            random = np.random.default_rng([self.seed, split, label])
            patient = -1
            for i in range(per_class):
                if i == 0 or random.random() >= _SECOND_IMAGE:
                    patient += 1
                patterns = ("none",) if label == 0 else ("lobar", "patchy", "interstitial")
                yield _Plan(
                    path=f"{name}/{class_name}/{i:05d}",
                    patient=f"{name}-{class_name}-{patient}",
                    class_name=class_name,
                    pattern=patterns[random.integers(len(patterns))],
                    image=(self.seed, split, label, i),
                    anatomy=(self.seed, split, label, patient),
                )


class _Plan(NamedTuple):
    path: str
    patient: str
    class_name: str
    pattern: str
    image: tuple[int, ...]
    anatomy: tuple[int, ...]
