"""`python -m gan_aug.explain`: what did a GAN's two networks learn, and the classifier?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gan_aug.run.arguments import typed_settings
from gan_aug.run.command_line import command
from gan_aug.run.record import Run
from gan_aug.run.threads import use_threads

if TYPE_CHECKING:
    from gan_aug.settings.commands import ExplainSettings


@command("explain", to_go_on="repeat the command")
def main(settings: ExplainSettings) -> None:
    """Read what the GAN was fitted on, then look into it."""
    from gan_aug.data.settle import named
    from gan_aug.evaluation.subject import load_subject, with_data
    from gan_aug.settings.commands import SettledExplain

    settings = with_data(settings, typed_settings())
    with Run(settings, anew=True) as run:  # the file may be another under the same name
        from gan_aug.interpret.command import explain

        subject = load_subject(settings)
        settled = settings.changed(SettledExplain, named(subject.data, subject.splits))
        run.settled(settled)
        run.record(data=subject.splits.notes)
        use_threads(run)
        explain(settled, subject, run)


if __name__ == "__main__":
    main()
