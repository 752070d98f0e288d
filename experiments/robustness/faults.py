"""A study disturbed in every way that was thought of: python experiments/robustness/faults.py [NAME ...].

A tiny study is run undisturbed once. Then, for each fault, in a new folder, something is done to it
while two of its jobs run, and the command is repeated where a user would have to. Prints a Markdown
table and exits with 1 if something finished was lost, a result is not the undisturbed one byte for
byte, or anybody saw a traceback. It wants root for the full disk, the read-only folder and Slurm.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import disturbances as local
import slurm_disturbances as on_slurm
import trial as trials

FAULTS: dict[str, tuple[str, Callable[..., local.Told], int]] = {
    "job": ("a job killed", local.job, 2),
    "launcher": ("the launcher killed", local.launcher, 2),
    "slurmd": ("a node's daemon killed", on_slurm.slurmd, 2),
    "node": ("a node killed", on_slurm.node, 2),
    "time_out": ("time-out", on_slurm.time_out, 2),
    "requeue": ("requeue in mid-epoch", on_slurm.requeue, 2),
    "disk_full": ("disk full", local.disk_full, 2),
    "read_only": ("run folder read-only", local.read_only, 2),
    "data_gone": ("data folder gone", local.data_gone, 3),
    "checkpoint": ("a byte of a checkpoint", local.checkpoint, 2),
    "finished_checkpoint": ("a byte of a fitted GAN", local.finished_checkpoint, 2),
    "cache": ("a byte of a cache file", local.cache, 3),
    "fit": ("a byte of a fits/*.npz", local.fit, 2),
    "png": ("a byte of a synthetic PNG", local.png, 2),
    "clock": ("clock set back in mid-run", local.clock, 2),
    "report_of_tomorrow": ("clock set back later", local.report_of_tomorrow, 2),
    "two_people": ("two people, one study", local.two_people, 2),
    "empty_cache": ("8 processes, empty cache", local.empty_cache, 0),
}
"""Name: title, what is done, how many draws (0: it compares by itself)."""
AT_ONCE = 3
"""Studies, with two jobs each; beside them one on Slurm."""
_undisturbed: dict[tuple[str, ...], trials.Trial] = {}
_lock = threading.Lock()


def undisturbed(base: Path, settings: tuple[str, ...]) -> trials.Trial:
    """Return the finished study that nothing was done to."""
    with _lock:
        if settings not in _undisturbed:
            made = trials.Trial(
                base / f"plain_{len(_undisturbed)}", base / "shared_cache", settings, 3
            )
            made.start().end()
            _undisturbed[settings] = made
        return _undisturbed[settings]


def row(base: Path, name: str) -> tuple[str, bool]:
    """Make a fault; return its row of the table and whether all is well."""
    title, disturb, draws = FAULTS[name]
    settings = trials.IN_FOLDER if name == "data_gone" else trials.PHANTOMS
    trial = trials.Trial(base / name, base / "shared_cache", settings, draws)
    started = time.monotonic()
    lost, equal, fault = "", "", ""
    try:
        with trial.cleanup:
            done, saw, then = disturb(trial)
            if draws:
                gone, of = trial.lost()
                lost = f"{gone} of {of}"
                fault = "" if gone == 0 else "lost"
                same = is_equal(trial, undisturbed(base, settings))
            else:
                same = True  # it has compared by itself
            equal, fault = ("yes", fault) if same else ("NO", "results differ")
            if found := trial.tracebacks():
                fault = f"a traceback in {', '.join(found)}"
    except local.CannotBeMade as error:
        done, saw, then = f"could not be made here: {error}", "", ""
    except Exception as error:
        traceback.print_exc()
        done, saw, then, fault = "", f"{type(error).__name__}: {error}", "", "did not go as planned"
    done, saw = (
        text.replace(f"{trial.folder}/", "").replace(f"{trial.home}/", "") for text in (done, saw)
    )
    saw = " ".join(saw.split()).replace("|", "\\|").replace("`", "'")
    cells = (title, done, f"`{saw[:400]}`" if saw else "", then, lost, equal)
    print(f"{name}: {time.monotonic() - started:.0f} s {fault}", file=sys.stderr, flush=True)
    return f"| {' | '.join(cells)} |{f' **{fault}**' if fault else ''}", not fault


def is_equal(trial: trials.Trial, plain: trials.Trial) -> bool:
    """Tell whether the draws' lines of results.csv and all predictions are the undisturbed ones."""
    lines, arrays = trial.results()
    wanted, all_arrays = plain.results()
    head, *rows = wanted
    wanted = [head, *(each for each in rows if int(each.split(b",")[0]) < trial.draws)]
    of_draws = tuple(f"s/draw_{draw}/" for draw in range(trial.draws))
    return lines == wanted and arrays == {
        path: digest for path, digest in all_arrays.items() if path.startswith(of_draws)
    }


def main() -> None:
    """Make the faults, several at once; those on Slurm, which mostly waits, one after the other."""
    names = sys.argv[1:] or list(FAULTS)
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        base = Path(folder)
        undisturbed(base, trials.PHANTOMS)
        waiting = {name: FAULTS[name][1].__module__ == on_slurm.__name__ for name in names}
        with (
            on_slurm.cluster(any(waiting.values())),
            ThreadPoolExecutor(1) as one,
            ThreadPoolExecutor(AT_ONCE) as several,
        ):
            made = {n: (one if waiting[n] else several).submit(row, base, n) for n in names}
        rows = {name: found.result() for name, found in made.items()}
    print(
        "| fault | what was done | what the user saw | what the user did | finished files lost | results equal |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for name in names:
        print(rows[name][0])
    good = sum(well for _, well in rows.values())
    print(f"\n{good} of {len(rows)}")
    sys.exit(good != len(rows))


if __name__ == "__main__":
    main()
