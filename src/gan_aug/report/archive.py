"""A study's finished draws in one small file, from which anyone can compute its report again."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

from gan_aug.report.predictions import FOLDER, Predictions, table_of
from gan_aug.report.records import DECLARATION
from gan_aug.report.study import Study
from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.files import replace_file
from gan_aug.runtime.run_record import RECORD, RESULT

KEPT = (RECORD, RESULT)
"""Of each draw: settings, results and quality; neither GANs nor images."""
_TIME = (1980, 1, 1, 0, 0, 0)


def check_archive(path: Path) -> None:
    """Raise a GanAugError where an archive is to be no .zip, or no file can be there."""
    if path.suffix != ".zip" or path.is_dir():
        raise GanAugError(f"archive={path}: name a file that ends in .zip")


def files_to_keep(study: Study) -> list[Path]:
    """Return what an archive of a study holds.

    Raises:
        GanAugError: a file, or a folder above it, is a link out of the study, or is no regular
            file. What a study's folder points to is not the study's to publish.
    """
    files = sorted(job.folder / name for job in study.jobs for name in KEPT)
    own = [job.folder / "fits" / f"{fit.name}.npz" for job in study.jobs for fit in job.result.fits]
    files += filter(Path.exists, [study.folder / DECLARATION])
    root = study.folder.resolve()
    out = {
        _link_above(file, study.folder)
        for file in [*files, *filter(Path.exists, own)]
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
    the draws that are not there. The files are those of `files_to_keep`.

    Raises:
        GanAugError: the archive cannot be written.
    """
    fits = {fit.predictions: (job, fit) for job in study.jobs for fit in job.result.fits}
    tables: dict[str, list[tuple[str, Predictions]]] = {}
    for name, (job, fit) in fits.items():
        predictions = job.predictions(fit)
        # A column has one type: fits that another version kept in 64 bits have a table of theirs.
        kind = str(sorted({str(one.logits.dtype) for one in predictions.values()}))
        tables.setdefault(kind, []).append((name, predictions))

    def write(temporary: Path) -> None:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for file in files:
                name = zipfile.ZipInfo(file.relative_to(study.folder).as_posix(), _TIME)
                name.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(name, file.read_bytes())
            for of_kind in tables.values():
                content = io.BytesIO()
                table_of(of_kind).write_parquet(content, compression="zstd")
                digest = hashlib.sha256(content.getvalue()).hexdigest()[:16]
                # Archives of one study can be unpacked into one folder: each table has its name.
                name = zipfile.ZipInfo(f"{FOLDER}/{digest}.parquet", _TIME)
                archive.writestr(name, content.getvalue())

    replace_file(path, write)
