"""`python -m gan_aug.evaluate`: how good are a GAN's images, or those of anybody's generator?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gan_aug.runtime.command_line import command

if TYPE_CHECKING:
    from gan_aug.settings.commands import EvaluateSettings


@command("evaluate", to_go_on="repeat the command")
def main(settings: EvaluateSettings) -> None:
    """Read what the images were made from, then measure them."""
    from gan_aug.evaluation.command import evaluate
    from gan_aug.evaluation.subject import with_subject
    from gan_aug.settings.commands import SettledEvaluate

    with_subject(settings, SettledEvaluate, evaluate)


if __name__ == "__main__":
    main()
