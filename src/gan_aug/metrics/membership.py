"""Does the discriminator know which real images it was trained on?"""

from __future__ import annotations

from gan_aug.metrics.memorisation import closer
from gan_aug.metrics.sample import Context, Sample


def membership(real: Sample, fake: Sample, context: Context) -> dict[str, float]:
    """Return the AUC of the discriminator's logits as a test of membership.

    A discriminator that has learnt its images by heart takes them for more real than others (LOGAN,
    Hayes et al. 2019, arXiv:1705.07663, section 4). `membership_auc` is the probability that a
    member's logit is the larger one: 0.5 where it cannot tell, 1 where it knows them all. Nothing
    without a discriminator.
    """
    if context.discriminator is None:
        return {}
    known, new = (context.discriminator(s.images).double() for s in (context.members, real))
    return {"membership_auc": closer(-known.numpy(), -new.numpy())}
