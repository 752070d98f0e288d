"""`python -m gan_aug.report`: the report of a study, again at any time."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from gan_aug.run.command_line import command
from gan_aug.settings.checks import check_config


@command("report", to_go_on="repeat the command")
def main(cfg: DictConfig) -> None:
    """Read all finished draws of `study_dir` and write the report there."""
    check_config(cfg)
    archive = None if cfg.archive is None else Path(cfg.archive).expanduser()

    from gan_aug.report.archive import check_archive
    from gan_aug.report.build import build

    if archive is not None:
        check_archive(archive)
    print(build(Path(cfg.study_dir).expanduser(), archive))
    if archive is not None:
        print(archive)


if __name__ == "__main__":
    main()
