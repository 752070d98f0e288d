"""`python -m gan_aug.explain`: what did a GAN's two networks learn, and the classifier?"""

from __future__ import annotations

from omegaconf import DictConfig

from gan_aug.data.settle import settle
from gan_aug.run.command_line import command
from gan_aug.run.extras import require
from gan_aug.run.record import open_run
from gan_aug.run.threads import use_threads
from gan_aug.run.typed_settings import typed_settings
from gan_aug.settings.checks import check_config, check_explain, check_subject


@command("explain", to_go_on="repeat the command")
def main(cfg: DictConfig) -> None:
    """Read what the GAN was fitted on, then look into it."""
    require("captum", "explain")
    check_subject(cfg)

    from gan_aug.evaluation.subject import load_subject, with_data

    cfg = with_data(cfg, typed_settings())
    with open_run(cfg, anew=True) as run:  # the file may be another under the same name
        check_config(cfg)
        check_explain(cfg)

        from gan_aug.interpret.command import explain

        subject = load_subject(cfg)
        cfg = settle(cfg, subject.splits)
        run.settled(cfg)
        run.record(data=subject.splits.notes)
        use_threads(run)
        explain(cfg, subject, run)


if __name__ == "__main__":
    main()
