"""`python -m gan_aug.evaluate`: how good are the images of a GAN or of a synthetic set?"""

from __future__ import annotations

from omegaconf import DictConfig

from gan_aug.data.settle import settle
from gan_aug.run.command_line import command
from gan_aug.run.record import open_run
from gan_aug.run.threads import use_threads
from gan_aug.run.typed_settings import typed_settings
from gan_aug.settings.checks import check_config, check_subject


@command("evaluate", to_go_on="repeat the command")
def main(cfg: DictConfig) -> None:
    """Read what the images were made from, then measure them."""
    check_subject(cfg)

    from gan_aug.evaluation.subject import load_subject, with_data

    cfg = with_data(cfg, typed_settings())
    with open_run(cfg, anew=True) as run:  # the file may be another under the same name
        check_config(cfg)
        subject = load_subject(cfg)
        cfg = settle(cfg, subject.splits)
        run.settled(cfg)
        run.record(data=subject.splits.notes)
        use_threads(run)

        from gan_aug.evaluation.command import evaluate

        evaluate(cfg, subject, run)


if __name__ == "__main__":
    main()
