"""`python -m gan_aug.status`: how the jobs of a study, a multirun or many of them stand."""

from __future__ import annotations

import sys
from pathlib import Path

from omegaconf import DictConfig

from gan_aug.jobs.follow import Follower
from gan_aug.jobs.show import exit_code, show
from gan_aug.run.command_line import command
from gan_aug.settings.checks import check_config


@command("status", to_go_on="repeat the command")
def main(cfg: DictConfig) -> None:
    """Read the files of all jobs in `study_dir`; no torch is loaded and nothing is written."""
    check_config(cfg)
    follower = Follower(Path(cfg.study_dir).expanduser())
    sys.exit(exit_code(show(follower, cfg.refresh_seconds if cfg.watch else None)))


if __name__ == "__main__":
    main()
