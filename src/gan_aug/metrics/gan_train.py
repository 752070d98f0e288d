"""GAN-train: train on generated images, test on real ones."""

from __future__ import annotations

import torch

from gan_aug.metrics.classification import classification_metrics
from gan_aug.metrics.sample import Context, Sample


def gan_train(real: Sample, fake: Sample, context: Context) -> dict[str, float]:
    """Train on generated images, test on real ones (GAN-train; Ravuri & Vinyals 2019's CAS).

    arXiv:1807.09499, section 3; arXiv:1905.10887. The other class, which this GAN does not make, is
    real in training.

    Args:
        real: the test images of the class.
        fake: see `Metric`.
        context: real images of the other class, for training and for testing.

    Returns:
        `gan_train_auroc` and `gan_train_accuracy` (balanced, at 0.5), in [0, 1]; the floor is what
        as many unseen real images in place of the generated ones give.
    """
    predict = context.fit({context.label: fake.images, context.other: context.other_train}, "train")
    scores = [predict(real.images), predict(context.other_real)]
    labels = [
        torch.full((len(scores[0]),), context.label),
        torch.full((len(scores[1]),), context.other),
    ]
    found = classification_metrics(torch.cat(scores), torch.cat(labels), 0.5)
    return {
        "gan_train_auroc": found["auroc"],
        "gan_train_accuracy": found["balanced_accuracy"],
    }
