"""`python -m gan_aug.status`: how the jobs of a study, a multirun or many of them stand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gan_aug.jobs.follow import Follower
from gan_aug.jobs.show import exit_code, show
from gan_aug.runtime.command_line import command

if TYPE_CHECKING:
    from gan_aug.settings.commands import StatusSettings


@command("status", to_go_on="repeat the command")
def main(settings: StatusSettings) -> int:
    """Read the files of all jobs in `study_dir`; return the exit code that says how they stand.

    No torch is loaded and nothing is written.
    """
    follower = Follower(Path(settings.study_dir).expanduser())
    return exit_code(show(follower, settings.refresh_seconds if settings.watch else None))


if __name__ == "__main__":
    main()
