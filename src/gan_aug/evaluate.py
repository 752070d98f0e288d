"""`python -m gan_aug.evaluate`: how good are the images of a GAN or of a synthetic set?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gan_aug.run.arguments import typed_settings
from gan_aug.run.command_line import command
from gan_aug.run.record import Run
from gan_aug.run.threads import use_threads

if TYPE_CHECKING:
    from gan_aug.settings.commands import EvaluateSettings


@command("evaluate", to_go_on="repeat the command")
def main(settings: EvaluateSettings) -> None:
    """Read what the images were made from, then measure them."""
    from gan_aug.data.settle import named
    from gan_aug.evaluation.subject import load_subject, with_data
    from gan_aug.settings.commands import SettledEvaluate

    settings = with_data(settings, typed_settings())
    with Run(settings, anew=True) as run:  # the file may be another under the same name
        subject = load_subject(settings)
        settled = settings.changed(SettledEvaluate, named(subject.data, subject.splits))
        run.settled(settled)
        run.record(data=subject.splits.notes)
        use_threads(run)

        from gan_aug.evaluation.command import evaluate

        evaluate(settled, subject, run)


if __name__ == "__main__":
    main()
