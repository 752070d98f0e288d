"""Whose images they are: what tells the patient, and what is not as it should be with patients."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from gan_aug.data.near_duplicates import near_duplicates
from gan_aug.data.sources.entries import Entry
from gan_aug.runtime.errors import GanAugError, see
from gan_aug.settings.by_name import normal


class PatientPattern:
    """`data.patient_regex`: its first group is the patient; None matches nothing.

    Raises:
        GanAugError: it is none, or has no group.
    """

    @see("patients")
    def __init__(self, pattern: str | None) -> None:
        self.setting = f"data.patient_regex={pattern}"
        self._pattern: re.Pattern[str] | None = None
        if pattern is None:
            return
        try:
            self._pattern = re.compile(normal(pattern))
        except re.error as error:
            raise GanAugError(
                f"{self.setting}: is no regular expression ({error}); mend it"
            ) from error
        if not self._pattern.groups:
            raise GanAugError(
                f"{self.setting}: has no group that is the patient; put brackets around it, as in "
                r"(\d+)_.*"
            )

    def __bool__(self) -> bool:
        return self._pattern is not None

    def _match(self, path: str) -> re.Match[str] | None:
        match = self._pattern.match(normal(path)) if self._pattern else None
        return match if match and match[1] else None

    def patient(self, path: str) -> str | None:
        """Return the patient that a path below the class folder tells, None where none."""
        match = self._match(path)
        return match[1] if match else None

    def tells_folder(self, path: str) -> bool:
        """Tell whether the patient lies within the first folder of a path."""
        match = self._match(path)
        return match is not None and match.end(1) <= normal(path).find("/")

    @see("patients")
    def check(self, entries: Sequence[Entry], of_table: bool) -> None:
        """Raise GanAugError where there is a pattern and it finds the patient of no image."""
        if self and not any(entry.patient for entry in entries):
            raise GanAugError(
                f"{self.setting}: matches the start of no path below a class folder"
                f"{' or in data.table' if of_table else ''}, such as that of {entries[0].path}; "
                "mend it (.*/ before it skips folders), or set it to null"
            )


def grouped(patients: Sequence[str | None], images: NDArray[np.uint8]) -> list[str]:
    """Fill in the patients that nothing tells: each group of near duplicates is one."""
    groups = near_duplicates(images).tolist()
    # Of a group with a known patient the others are that patient's too.
    known = {g: p for g, p in zip(groups, patients, strict=True) if p is not None}
    return [
        p if p is not None else known.get(g, f"unknown {g}")
        for p, g in zip(patients, groups, strict=True)
    ]


def warn_of_patients(
    entries: Sequence[Entry], pattern: PatientPattern, one_patient: str | None
) -> list[str]:
    """Say what is not as it should be with the patients; `one_patient` is of `the_one_patient`."""
    said = []
    unmatched = [entry.path for entry in entries if entry.patient is None]
    if unmatched and len(unmatched) < len(entries):
        names = ", ".join(unmatched[:3]) + (" ..." if len(unmatched) > 3 else "")
        by = f"{pattern.setting} does not match" if pattern else "nothing tells the patient of"
        said.append(f"{by} {len(unmatched)} of {len(entries)} files: {names}")
    if one_patient:
        return [*said, one_patient]
    for one, other in combinations(("train", "val", "test"), 2):
        inside = ({e.patient for e in entries if e.split == split} for split in (one, other))
        if both := set.intersection(*inside) - {None}:
            first = min(map(str, both))
            said.append(
                f"{len(both)} patients are in {one} and in {other}, such as {first}: results "
                f"on {other} images are too good; mend the splits"
            )
    return said


def the_one_patient(patients: Sequence[str | None], what: str) -> str | None:
    """Return the line about images with one patient, None where they have none or several.

    What it is known from is `what`: PatientID, or patient; a patient of None is not known.
    """
    known = [patient for patient in patients if patient is not None]
    if len(known) < 2 or len(set(known)) > 1:
        return None
    which = f"{'' if len(known) < len(patients) else 'all '}{len(known)} images"
    return (
        f"{which} have the one {what} {known[0]}, so nothing can be cut by patient; find the "
        "patients in paths with data.patient_regex, or give them in data.table (column patient). "
        "If every image is of another patient, set 'data.patient_regex=(.+)'"
    )
