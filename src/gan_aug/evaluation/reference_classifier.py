"""The reference classifier: fitted once for a data set, kept with its hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import Callback
from lightning.pytorch.utilities.seed import isolate_rng

from gan_aug.data.batches import Pool, in_order, shuffled
from gan_aug.data.datamodule import DataModule
from gan_aug.data.held_out import reference_classifier_images
from gan_aug.data.image_table import Images
from gan_aug.data.splits import Splits
from gan_aug.evaluation.measured import ReferenceFacts
from gan_aug.models.classifier import Classifier, probabilities, weights_hash
from gan_aug.models.fit import fit_classifier
from gan_aug.models.weights_file import Damaged, read_weights, write_weights
from gan_aug.runtime.errors import GanAugError, warn
from gan_aug.runtime.files import sha256_of_json
from gan_aug.runtime.lock import Lock
from gan_aug.runtime.seeds import stream_seed
from gan_aug.settings.base import Node
from gan_aug.settings.quality import QualitySettings

BATCH = 64
_PURPOSE = "judge"
"""Seeds the weights and the order: all published qualities are by these weights."""
_TRAINER = Node.model_validate(
    {"_target_": "lightning.pytorch.Trainer", "accelerator": "cpu", "devices": 1}
    | {"deterministic": True, "enable_progress_bar": False, "enable_model_summary": False}
)


@dataclass(frozen=True)
class ReferenceClassifier:
    """A fitted classifier, in evaluation mode on the CPU."""

    module: Classifier
    sha256: str
    """Of its weights."""
    feature_scale: float
    """What its features are divided by, for KID's kernel: their root mean square when fitted."""
    images: dict[str, int]
    """How many images of each class it was fitted on."""

    def probabilities(self, images: Images) -> torch.Tensor:
        """Return float64 probabilities (N, K) of the classes."""
        return probabilities(self.module, images)

    def facts(self) -> ReferenceFacts:
        """Return what a number that depends on the reference classifier is published with."""
        return ReferenceFacts(sha256=self.sha256, fitted_on=self.images)


def fit_on_images(
    quality: QualitySettings,
    images: Mapping[int, Images],
    steps: int,
    purpose: str,
    callbacks: Sequence[Callback] = (),
) -> Classifier:
    """Fit the classifier on images by label, each class equally often.

    Random states and torch's switches outside are left as they were. Images are uint8
    (N, C, H, W), and no class is empty; the purpose fixes initial weights and order.

    Raises:
        Diverged: training did.
    """
    images = dict(sorted(images.items()))  # the same classifier in whatever order they come
    largest = max(map(len, images.values()))
    # The smaller class is repeated, whole copies first.
    shown = np.concatenate([x[np.resize(np.arange(len(x)), largest)] for x in images.values()])
    labels = np.repeat(np.array(list(images), np.int64), largest)
    pool = Pool(torch.from_numpy(shown), torch.from_numpy(labels))
    order = shuffled(len(pool), BATCH, stream_seed("classifier order", purpose))
    # Lightning's trainer switches for the whole process, a GAN's training included.
    deterministic = torch.are_deterministic_algorithms_enabled()
    benchmark = torch.backends.cudnn.benchmark
    try:
        with isolate_rng():  # seeding reaches a GPU's generator too
            return fit_classifier(
                quality.classifier.module,
                DataModule(pool, order, steps),
                _TRAINER,
                stream_seed("classifier", purpose),
                what=f"the classifier for {purpose}",
                key="quality.classifier",
                callbacks=callbacks,
            ).module
    finally:
        torch.use_deterministic_algorithms(deterministic)
        torch.backends.cudnn.benchmark = benchmark


def reference_path(quality: QualitySettings, splits: Splits) -> Path:
    """Return where the reference classifier of a data set is kept; see `find_or_fit_reference`."""
    table = reference_classifier_images(splits)
    settings, steps = quality.classifier.module.plain(), quality.reference_steps
    # A file is other pixels with another data.fit or data.window.
    pixels = hashlib.sha256(f"{table.images.shape[1:]}".encode())
    for i in np.argsort(table.hashes):
        pixels.update(np.asarray(table.images[i]).tobytes())
    hashes = sorted(table.hashes.tolist())
    known = [settings, steps, BATCH, splits.fingerprint, hashes, pixels.hexdigest()]
    key = sha256_of_json(known)[:20]
    return Path(quality.reference_dir).expanduser() / f"{key}.safetensors"


def find_or_fit_reference(quality: QualitySettings, splits: Splits) -> ReferenceClassifier:
    """Return the reference classifier of a draw's data set, fitting it unless some command has.

    It is the same for every draw (`gan_aug.data.held_out.reference_classifier_images`). A damaged
    file is said to be so, and the classifier fitted again: the same, bit for bit on a CPU.

    Raises:
        GanAugError: a class without images.
    """
    table = reference_classifier_images(splits)
    counts = table.counts()
    if empty := [name for name, n in counts.items() if not n]:
        raise GanAugError(
            f"the reference classifier needs images of each class, there are no {empty[0]} ones"
        )
    path = reference_path(quality, splits)
    path.parent.mkdir(parents=True, exist_ok=True)
    with isolate_rng(include_cuda=False):
        module: Classifier = quality.classifier.module.build("quality.classifier")
    with Lock(path.with_suffix(".lease"), guards=path):
        if path.exists():
            try:
                return _read(path, module, counts)
            except Damaged as error:
                warn(f"{path}: {error.what}; fitting the reference classifier again")
        shown = " + ".join(map(str, counts.values()))
        print(f"fitting the reference classifier on {shown} images: {path}")
        images = {label: table.of_class(name).images for label, name in enumerate(table.classes)}
        fitted = fit_on_images(quality, images, quality.reference_steps, _PURPOSE)
        features = fitted.network.features
        with torch.no_grad():
            means = [features(x).square().mean(dim=1) for x in in_order(table.images)]
        scale = float(torch.cat(means).mean().sqrt())
        notes = {"sha256": weights_hash(fitted), "feature_scale": repr(scale)}
        write_weights(path, fitted.state_dict(), notes)
        return _read(path, module, counts)


def _read(path: Path, module: Classifier, counts: dict[str, int]) -> ReferenceClassifier:
    """Read a reference classifier that was kept, into `module`."""
    state, notes = read_weights(path, str(path), module.state_dict())
    try:
        sha256, scale = notes["sha256"], float(notes["feature_scale"])
    except (KeyError, ValueError) as error:
        raise Damaged(str(path), f"is no reference classifier ({error})") from error
    module.load_state_dict(state)
    if weights_hash(module) != sha256 or not 0 < scale < float("inf"):
        raise Damaged(str(path), "its weights are not those it was saved with")
    return ReferenceClassifier(module.eval(), sha256, scale, counts)
