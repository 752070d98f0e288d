"""GAN-test: train on real images, test on generated ones."""

from __future__ import annotations

from gan_aug.metrics.sample import Context, Sample


def gan_test(real: Sample, fake: Sample, context: Context) -> dict[str, float]:
    """Train on the draw's real images, test on generated ones (Shmelkov et al. 2018, GAN-test).

    arXiv:1807.09499, section 3. `gan_test` is the share in [0, 1] of generated images taken for
    their class; more than the baseline means samples that are too easy.
    """
    predict = context.fit({context.label: context.train.images, **context.other_train}, "gan_test")
    return {"gan_test": context.share_of_class(predict(fake.images))}
