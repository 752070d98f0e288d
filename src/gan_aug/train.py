"""`python -m gan_aug.train`: fit the model that the configuration describes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gan_aug.runtime.command_line import command
from gan_aug.runtime.hardware import settle_precision, use_threads
from gan_aug.runtime.record import Run

if TYPE_CHECKING:
    from gan_aug.settings.commands import TrainSettings


@command("train")
def main(settings: TrainSettings) -> None:
    """Check the data first; torch is loaded only when it is sound."""
    from gan_aug.data.prepare import load, print_data
    from gan_aug.data.settle import say_what_is_left, settle_training

    with Run(settings) as run:
        if run.finished:
            print(f"{run.folder}: finished already, nothing to do")
            return
        source = load(settings.data)
        settled, prepared = settle_training(settings, source)
        settled = settle_precision(settled, run.before)
        run.settled(settled)
        synthetic = prepared.synthetic
        run.record(
            data=prepared.splits.notes, synthetic=None if synthetic is None else synthetic.facts()
        )
        print_data(settled.data, prepared)
        say_what_is_left(settled, source)
        use_threads(run, settled.trainer.threads)

        from gan_aug.training.run import train

        train(settled, prepared, run)


if __name__ == "__main__":
    main()
