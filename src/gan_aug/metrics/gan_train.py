"""GAN-train: train on generated images, test on real ones."""

from __future__ import annotations

import torch

from gan_aug.metrics.classification import decisions, measure
from gan_aug.metrics.sample import Context, Sample
from gan_aug.runtime.errors import GanAugError


def gan_train(real: Sample, fake: Sample, context: Context) -> dict[str, float]:
    """Train on generated images, test on real ones (GAN-train; Ravuri & Vinyals 2019's CAS).

    arXiv:1807.09499, section 3; arXiv:1905.10887. The other classes, which this GAN does not make,
    are real in training. `gan_train_auroc` and `gan_train_accuracy` (balanced, by the most probable
    class) are in [0, 1]; the baseline has as many unseen real images in place of the generated.

    Raises:
        GanAugError: a class has no unseen real images to test on.
    """
    classes = context.classes
    tested = {context.label: real.images, **context.other_real}
    if empty := [classes.names[label] for label, images in tested.items() if not len(images)]:
        raise GanAugError(
            f"quality.use: gan_train tests on unseen real images and no {empty[0]} ones are left; "
            "leave it out, or choose a smaller data.subset"
        )
    predict = context.fit({context.label: fake.images, **context.other_train}, "train")
    labels = [torch.full((len(images),), label) for label, images in tested.items()]
    scores = [predict(images) for images in tested.values()]
    measured = measure(torch.cat(scores), torch.cat(labels), classes, 0.5)[decisions(classes)[0]]
    return {
        "gan_train_auroc": measured["auroc"],
        "gan_train_accuracy": measured["balanced_accuracy"],
    }
