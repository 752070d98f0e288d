"""`python -m gan_aug.study`: one draw of training images, all arms; with -m, many draws."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gan_aug.runtime.command_line import command
from gan_aug.runtime.errors import require
from gan_aug.runtime.hardware import AUTO, take_threads, use_threads
from gan_aug.runtime.progress import reporting
from gan_aug.runtime.record import Busy, Run
from gan_aug.runtime.run_record import read_record
from gan_aug.settings.alike import may_be_redone, may_differ
from gan_aug.study.ending import finish, leave_to_the_other

if TYPE_CHECKING:
    from gan_aug.settings.study import StudySettings


@command("study", at_end=finish, to_go_on="repeat the command to go on")
def main(settings: StudySettings) -> None:
    """Check the data first; torch is loaded only when it is sound."""
    require("polars", "study")

    from gan_aug.arms.check import check_arms
    from gan_aug.data.prepare import Prepared, load, print_data
    from gan_aug.study.other_draws import check_finished
    from gan_aug.study.settle import settle_draw

    if settings.plan:
        folder = Path(settings.study_dir).expanduser() / settings.study.folder
        record = read_record(folder)
        if record is None or not record.finished:  # of a finished draw the data may be gone
            check_arms(settings)
            load(settings.data)
        from gan_aug.study.plan import plan_jobs

        threads = settings.trainer.threads
        take_threads(None if threads == AUTO else int(threads))
        plan_jobs(settings, [settings], at_once=1)
        return
    try:
        with Run(settings, may_differ(settings), may_be_redone(settings)) as run:
            if run.finished:
                check_finished(run.folder, settings)
                print(f"{run.folder}: finished already, skipped")
                return
            settled, splits = settle_draw(settings, load, run)
            run.settled(settled)
            run.record(data=splits.notes)
            print_data(settled.data, Prepared(splits))
            use_threads(run, settled.trainer.threads)

            from gan_aug.study.draw import run_draw, stages_of

            with reporting(run.folder, stages_of(settled)):
                run_draw(settled, splits, run)
    except Busy as error:
        leave_to_the_other(error)


if __name__ == "__main__":
    main()
