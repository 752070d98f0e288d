"""`python -m gan_aug.inspect`: what is in a data set, before anything is trained."""

from __future__ import annotations

from omegaconf import DictConfig

from gan_aug.run.command_line import command
from gan_aug.run.record import open_run
from gan_aug.settings.checks import check_config


@command("inspect", to_go_on="repeat the command")
def main(cfg: DictConfig) -> None:
    """Read the images and write what is found; no torch is loaded."""
    with open_run(cfg, anew=True) as run:  # files may have come and gone
        check_config(cfg)

        from gan_aug.inspection.command import inspect

        inspect(cfg, run)


if __name__ == "__main__":
    main()
