"""A study's draws as files, for generators that gan_aug does not fit: what `export` does."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path, PurePosixPath

import numpy as np
from hydra.core.override_parser.overrides_parser import OverridesParser
from PIL import Image

from gan_aug.data.image_table import ImageTable
from gan_aug.data.origin import DRAW_FILE, ExportedDraw
from gan_aug.data.prepare import cut, load
from gan_aug.data.sources.tree import IMAGES
from gan_aug.data.splits import Splits
from gan_aug.data.stored import data_settings
from gan_aug.pages.html import png_of
from gan_aug.runtime.errors import GanAugError, warn
from gan_aug.runtime.files import new_folder, sha256_of
from gan_aug.runtime.run_record import differences
from gan_aug.runtime.terminal import csv_of, printable
from gan_aug.settings.groups import CHOSEN_BY
from gan_aug.settings.study import ExportSettings, SettledStudy, StudySettings
from gan_aug.study.settle import settle_study

TRAIN, TABLE = "train", "train.csv"


def export_draws(settings: ExportSettings, varied: Mapping[str, str]) -> None:
    """Write `output_dir`/draw_K for each draw, whole or not at all.

    One that is there and holds just this is left as it is. `varied` is what the study's multirun
    goes through, by setting; those that were typed left out.

    Raises:
        GanAugError: the study cannot be cut from its data, a folder holds something else, an
            original is not what was read, or nothing can be written.
    """
    first, *others = settings.draw
    typed, source = settings.of_draw(first), load(settings.data)
    root, folder = Path(source.notes.root), Path(settings.output_dir).expanduser()
    if root.is_dir() and folder.resolve().is_relative_to(root.resolve()):
        raise GanAugError(
            f"output_dir={folder}: lies in data.root={root}, whose images would be read twice from "
            "then on; choose a folder outside it"
        )
    settled, splits = settle_study(typed, source)
    for warning in splits.notes["warnings"]:
        warn(warning)
    name, where = settled.data.name, printable(splits.notes["root"])
    print(f"data={name} ({where}), fingerprint {splits.fingerprint}")
    _say_what_varies(typed, varied)
    _Export(settings, settled, splits).write()
    for draw in others:  # what the data decides is the same for every draw
        settled = settled.changed(SettledStudy, {"draw": draw, "data.draw": draw})
        _Export(settings, settled, cut(settled.data, source)).write()


def _say_what_varies(typed: StudySettings, varied: Mapping[str, str]) -> None:
    """Name the settings that the study's multirun goes through, where they change its draws."""
    for key, values in varied.items():
        if key in CHOSEN_BY:
            continue
        override = OverridesParser.create().parse_override(f"{key}={values}")
        each = override.sweep_iterator() if override.is_sweep_override() else [override.value()]
        data = [typed.changed(StudySettings, {key: value}).data for value in each]
        if any(one != typed.data for one in data):
            warn(
                f"{key}: this study goes through {key}={values}, with other training images each; "
                f"export each into an output_dir of its own, by {key}=VALUE"
            )


class _Export:
    """One draw and its folder."""

    def __init__(self, settings: ExportSettings, settled: SettledStudy, splits: Splits) -> None:
        self._originals = settings.originals
        self._folder = Path(settings.output_dir).expanduser() / f"draw_{splits.draw}"
        self._train: ImageTable = splits.train
        self._root = Path(splits.notes["root"])
        self._source = f"data={settled.data.name}"
        self._files = list(self._names())
        self._table = self._csv(splits)
        self._draw = ExportedDraw(
            data_fingerprint=splits.fingerprint,
            draw=splits.draw,
            classes=list(splits.classes),
            seen_hashes=self._train.hashes.tolist(),
            image_size=None if self._originals else settled.data.image_size,
            channels=3 if splits.channels == 3 else 1,
            data_settings=data_settings(settled.plain()["data"], None),
        )

    def write(self) -> None:
        """Write the folder, which appears only when it is complete; or find it as it should be."""
        folder, counts = self._folder, self._train.counts()
        if os.path.lexists(folder):
            if fault := self._fault():
                raise GanAugError(
                    f"output_dir: {folder} is there already, and is not what would be written "
                    f"({fault}); remove it, or choose another output_dir"
                )
            print(f"{folder}: is there already, left as it is")
            return
        with new_folder(folder) as whole:
            for name in counts:
                (whole / TRAIN / name).mkdir(parents=True)
            for row, file in enumerate(self._files):
                self._write_image(whole / file, row)
            (whole / TABLE).write_text(self._table, "utf-8", newline="\n")
            self._draw.write(whole / DRAW_FILE)
        print(f"{folder}: " + ", ".join(f"{n} {name}" for name, n in counts.items()))

    def _names(self) -> Iterator[str]:
        """Yield each image's file below the draw's folder; none is named as in the data set."""
        next_of = dict.fromkeys(self._train.classes, 0)
        for row, label in enumerate(self._train.labels.tolist()):
            name = self._train.classes.names[label]
            ending = ".png"
            if self._originals:
                ending = PurePosixPath(self._train.paths[row]).suffix.lower()
                ending = ending if ending in IMAGES else ".dcm"  # DICOM may have any name
            yield f"{TRAIN}/{name}/{next_of[name]:05d}{ending}"
            next_of[name] += 1

    def _csv(self, splits: Splits) -> str:
        train = self._train
        rows: list[Sequence[object]] = [["path", "label", "patient", "sha256"]]
        for row, file in enumerate(self._files):
            label = train.classes.names[int(train.labels[row])]
            # Not the patient's name; images that must stay on one side of a cut have one number.
            patient = splits.patient_units[str(train.patients[row])]
            rows.append([file, label, patient, str(train.hashes[row])])
        return csv_of(*rows)

    def _png(self, row: int) -> bytes:
        pixels = np.asarray(self._train.images[row])
        return png_of(Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)))

    def _write_image(self, path: Path, row: int) -> None:
        if not self._originals:
            path.write_bytes(self._png(row))
            return
        original = self._root / str(self._train.paths[row])
        if not original.is_file():
            raise GanAugError(
                f"originals=true: {self._source} has no file {original}; leave originals out, for "
                "PNGs at data.image_size"
            )
        if sha256_of(original) != str(self._train.hashes[row]):
            raise GanAugError(f"{original}: has changed since it was read; repeat the command")
        try:
            path.symlink_to(original.resolve())
        except OSError:  # Windows asks for a right to make links
            shutil.copyfile(original, path)

    def _fault(self) -> str | None:
        """Return what is not as `write` would leave it, None where all is."""
        try:
            there = ExportedDraw.of(self._folder, "output_dir")
        except GanAugError:
            return f"it has no sound {DRAW_FILE}"
        for key, *_ in differences(there.plain(), self._draw.plain()):
            return f"{key} differs"
        wanted = {*self._files} | {TABLE, DRAW_FILE}
        found = {path for path in self._folder.rglob("*") if path.is_symlink() or not path.is_dir()}
        names = {path.relative_to(self._folder).as_posix() for path in found}
        if names != wanted:
            odd = min(names ^ wanted)
            return f"{odd} is {'one file too many' if odd in names else 'missing'}"
        for row, file in enumerate(self._files):
            digest = str(self._train.hashes[row])
            if not self._originals:
                digest = sha256(self._png(row)).hexdigest()
            if not _holds(self._folder / file, digest):
                return f"{file} is another image"
        as_written = _holds(self._folder / TABLE, sha256(self._table.encode()).hexdigest())
        return None if as_written else f"{TABLE} differs"


def _holds(path: Path, digest: str) -> bool:
    try:
        return sha256_of(path) == digest
    except OSError:
        return False
