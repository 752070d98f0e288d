"""A study's finished draws in one small file, from which anyone can compute its report again."""

from __future__ import annotations

import zipfile
from pathlib import Path

from gan_aug.report.results import Study
from gan_aug.run.errors import GanAugError
from gan_aug.run.files import replace_file
from gan_aug.run.run_record import RECORD
from gan_aug.settings.endpoints import DECLARATION

KEPT = (RECORD, "metrics.json", "fits/*.npz", "fits/*.json")
"""Settings, results and quality, and every fit with its predictions; neither GANs nor images."""
_TIME = (1980, 1, 1, 0, 0, 0)


def check_archive(path: Path) -> None:
    """Check where an archive is to be written.

    Raises:
        GanAugError: it is no .zip, or no file can be there.
    """
    if path.suffix != ".zip" or path.is_dir():
        raise GanAugError(f"archive={path}: name a file that ends in .zip")


def files_to_keep(study: Study) -> list[Path]:
    """Return what an archive of a study holds.

    Raises:
        GanAugError: a file, or a folder above it, is a link out of the study, or is no regular
            file. What a study's folder points to is not the study's to publish.
    """
    files = sorted(
        file for job in study.jobs for pattern in KEPT for file in job.folder.glob(pattern)
    )
    files += [path for path in (study.folder / DECLARATION,) if path.exists()]
    root = study.folder.resolve()
    out = {
        _link_above(file, study.folder)
        for file in files
        if not (file.is_file() and file.resolve().is_relative_to(root))
    }
    if out:
        named = ", ".join(map(str, sorted(out)[:3])) + (" and more" if len(out) > 3 else "")
        raise GanAugError(
            f"archive=: {named} leads out of {study.folder} or is no regular file, and is not "
            "packed; put a copy of what you mean to publish in its place"
        )
    return files


def _link_above(file: Path, folder: Path) -> Path:
    """Return the highest link on the way from a folder to a file in it; the file without one."""
    on_the_way = [file, *(p for p in file.parents if p != folder and p.is_relative_to(folder))]
    return next((path for path in reversed(on_the_way) if path.is_symlink()), file)


def write_archive(study: Study, files: list[Path], path: Path) -> None:
    """Write the draws that a report is about; the same draws give the same bytes.

    Unpacked, they are a study's folder: the report reads it, and the study's command goes on with
    the draws that are not there.

    Args:
        study: the study.
        files: from `files_to_keep`.
        path: of the archive.

    Raises:
        GanAugError: the file cannot be written.
    """

    def write(temporary: Path) -> None:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for file in files:
                name = zipfile.ZipInfo(str(file.relative_to(study.folder)), _TIME)
                name.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(name, file.read_bytes())

    replace_file(path, write)
