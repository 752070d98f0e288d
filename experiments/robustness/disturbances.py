"""What is done to a study on one machine while two of its jobs run, and how it is gone on with."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from trial import CLASSIFIER, Trial, change_a_byte, is_finished, sha256

DAY = 86_400
Told = tuple[str, str, str]
"""What was done, the line that the user saw, what the user did then."""
REPEATED = "repeated the command"


class CannotBeMade(Exception):
    """This machine does not let the fault be made."""


def job(trial: Trial) -> Told:
    first = trial.start()
    trial.until(lambda: trial.gan_trains(0), first)
    trial.disturb(lambda: trial.kill(0))
    saw = first.end(1).line()
    trial.start().end()
    return "kill -9 of draw 0 while its GAN trains", saw, REPEATED


def launcher(trial: Trial) -> Told:
    first = trial.start()
    trial.until(lambda: trial.fits(0) > 1 and trial.fits(1) > 0, first)
    jobs = [trial.attempt(draw)["pid"] for draw in (0, 1)]
    trial.disturb(first.process.kill)
    first.end(-signal.SIGKILL)
    trial.until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in jobs))
    status = trial.run("status", "study_dir=s").end(1)
    trial.start().end()
    done = "kill -9 of the study command while two jobs fit; both ended with it"
    return done, f"Killed (the shell's); gan_aug.status: {status.line('draw_0: ')}", REPEATED


def disk_full(trial: Trial) -> Told:
    mount(trial, "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(trial.folder))
    filler = trial.folder / "filler"

    def fill() -> None:
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)):
                pass

    first = trial.start()
    trial.until(lambda: trial.fits(0) > 1 and trial.fits(1) > 0, first)
    trial.disturb(fill)
    saw = first.end(1).line()
    filler.unlink()
    trial.start().end()
    return "a tmpfs of 48 MB filled to the last page while two jobs fit", saw, (
        "made room, repeated the command"
    )  # fmt: skip


def read_only(trial: Trial) -> Told:
    # Root may write whatever the modes say; nobody may into what is immutable.
    folder = str(trial.draw(0))

    def mark(sign: str) -> None:
        tried = subprocess.run(
            ["chattr", "-R", f"{sign}i", folder], capture_output=True, text=True, check=False
        )
        if tried.returncode != 0:
            raise CannotBeMade(f"chattr +i: {tried.stderr.strip()}")

    first = trial.start()
    trial.until(lambda: trial.fits(0) > 1, first)
    trial.cleanup.callback(mark, "-")
    trial.disturb(lambda: mark("+"))
    saw = first.end(1).line()
    again = trial.start().end(1).line()
    mark("-")
    trial.start().end()
    done = f"chattr -R +i of draw 0's folder while it fits; the command repeated meanwhile: {again}"
    return done, saw, "made it writable, repeated the command"


def data_gone(trial: Trial) -> Told:
    first = trial.start()
    trial.until(lambda: trial.fits(0) > 0 and trial.fits(1) > 0, first)
    images = trial.folder / "xrays"
    trial.disturb(lambda: images.rename(trial.folder / "elsewhere"))
    saw = first.end(1).line()
    assert is_finished(trial.draw(0)), "a running draw did not outlive its data folder"
    assert is_finished(trial.draw(1)), "a running draw did not outlive its data folder"
    (trial.folder / "elsewhere").rename(images)
    trial.start().end()
    done = "data.root renamed while draws 0 and 1 fit: they went on to their end, draw 2 could not"
    return done, saw, "put it back, repeated the command"


def checkpoint(trial: Trial) -> Told:
    first = trial.start()
    trial.until(lambda: trial.gan_trains(0), first)
    trial.disturb(lambda: trial.kill(0))
    folder = trial.gan(0)
    assert folder is not None
    change_a_byte(folder / "checkpoints" / "last.ckpt")
    first.end(1)
    trial.start().end()
    done = "draw 0 killed while its GAN trains, a byte of the GAN's last.ckpt changed"
    return done, trial.logged("going on from"), REPEATED


def finished_checkpoint(trial: Trial) -> Told:
    first = trial.start()

    def fitted() -> bool:
        gan = trial.gan(0)
        return gan is not None and (gan / "metrics.json").exists() and is_finished(gan)

    trial.until(fitted, first)
    trial.kill(0)
    folder = trial.gan(0)
    assert folder is not None
    trial.disturb(lambda: change_a_byte(folder / "checkpoints" / "last.ckpt"))
    trial.damaged |= {folder / "checkpoints" / "last.ckpt", folder / "metrics.json"}
    first.end(1)
    saw = trial.start().end(1).line()
    shutil.rmtree(folder)
    trial.start().end()
    done = "draw 0 killed when its GAN is fitted, a byte of that GAN's last.ckpt changed"
    return done, saw, "repeated the command, removed the GAN's folder as told, repeated it"


def cache(trial: Trial) -> Told:
    trial.environment["XDG_CACHE_HOME"] = str(trial.home / "cache")
    first = trial.start()
    trial.until(lambda: trial.fits(0) > 0 and trial.fits(1) > 0, first)
    (images,) = (trial.home / "cache").glob("gan_aug/*/images.npy")
    trial.disturb(lambda: change_a_byte(images))
    first.end()
    done = "a byte of images.npy changed while two jobs that have read it fit, before draw 2 does"
    return done, trial.logged("cache entry"), "nothing"


def fit(trial: Trial) -> Told:
    first = trial.start()
    trial.until(lambda: trial.fits(0) > 2, first)
    path = trial.draw(0) / "fits" / "classic_0.npz"
    trial.kill(0)
    trial.disturb(lambda: change_a_byte(path))
    trial.damaged |= {path, path.with_suffix(".json")}
    first.end(1)
    trial.start().end()
    done = "draw 0 killed after three fits, a byte of fits/classic_0.npz changed"
    return done, trial.logged("fitting again"), REPEATED


def png(trial: Trial) -> Told:
    first = trial.start()
    images = trial.draw(0) / "synthetic" / "pneumonia_gan" / "pneumonia"
    trial.until(images.is_dir, first)
    trial.kill(0)
    trial.disturb(lambda: change_a_byte(images / "00003.png"))
    first.end(1)
    trial.start().end()
    done = "draw 0 killed when its synthetic set is written, a byte of a PNG of it changed"
    return done, trial.logged("00003.png"), REPEATED


def clock(trial: Trial) -> Told:
    offset = trial.home / "offset"
    offset.write_text(str(DAY))
    trial.environment |= {"LD_PRELOAD": str(built_clock(trial.home)), "CLOCK_OFFSET": str(offset)}

    def set_back() -> None:
        for path in trial.folder.rglob("*"):  # written, as far as anybody can tell, tomorrow
            if path.is_file():
                os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + DAY * 10**9))
        offset.write_text("0")

    first = trial.start()
    trial.until(lambda: trial.fits(0) > 1 and trial.fits(1) > 0, first)
    set_back()
    trial.disturb(lambda: None)
    first.end()
    done = "the clock of command and jobs a day ahead, set back by a day while two jobs fit"
    return done, first.line("draw_1: done"), "nothing"


def built_clock(folder: Path) -> Path:
    """Compile clock.c; libfaketime 0.9.10 breaks time.sleep where monotonic time is left alone."""
    library = folder / "clock.so"
    source = Path(__file__).with_name("clock.c")
    try:
        command = ["cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(source)]
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotBeMade(f"no C compiler for clock.c ({error})") from error
    return library


def report_of_tomorrow(trial: Trial) -> Told:
    trial.start(draws=1).end()
    for path in trial.folder.rglob("*"):
        if path.is_file():
            os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + DAY * 10**9))
    trial.disturb(lambda: None)
    last = trial.start().end()
    done = "all files of a study of one draw dated a day ahead, as a clock set back leaves them"
    return done, last.line("report "), "asked for another draw"


def two_people(trial: Trial) -> Told:
    both = [trial.start(), trial.start()]
    trial.until(lambda: trial.fits(0) > 1 and trial.fits(1) > 1)
    trial.disturb(lambda: None)
    for each in both:
        each.end()
    lines = " / ".join(each.line("draw_1: done") for each in both)
    return "the same command twice at once, two jobs each", lines, "nothing"


def empty_cache(trial: Trial) -> Told:
    """Compares what it has itself: eight runs with one alone."""
    trial.environment["XDG_CACHE_HOME"] = str(trial.home / "first")
    trial.run("train", *CLASSIFIER, "hydra.run.dir=alone").end()
    trial.environment["XDG_CACHE_HOME"] = str(trial.home / "cache")
    eight = [trial.run("train", *CLASSIFIER, f"hydra.run.dir=run_{i}") for i in range(8)]
    for each in eight:
        each.end()
    folders = [trial.folder / "alone", *(trial.folder / f"run_{i}" for i in range(8))]
    hashes = {sha256(folder / "metrics.json") for folder in folders}
    assert len(hashes) == 1, "metrics.json differ"
    left = sorted(p.name for p in (trial.home / "cache" / "gan_aug").iterdir())
    assert len(left) == 1, f"the cache holds {left}"
    done = "8 gan_aug.train at once on an empty cache; it then holds one entry, nothing else"
    return done, eight[0].line("results "), "nothing"


def mount(trial: Trial, *arguments: str) -> None:
    """Mount something on the trial's folder until it has been compared."""
    tried = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        raise CannotBeMade(f"mount {' '.join(arguments)}: {tried.stderr.strip()}")
    trial.cleanup.callback(subprocess.run, ["umount", str(trial.folder)], check=True)
