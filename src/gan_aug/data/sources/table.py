"""A table that says what each file of a data set is."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from gan_aug.data.groups import ColumnsRead
from gan_aug.data.sources.entries import SPLITS, Entry
from gan_aug.data.sources.patients import PatientPattern
from gan_aug.data.sources.tree import Tree
from gan_aug.runtime.errors import GanAugError, see
from gan_aug.runtime.files import open_regular
from gan_aug.settings.by_name import normal

NEEDED, OPTIONAL = ("path", "label"), ("patient", "site", "split")
_NOT_KNOWN = frozenset({"nan", "na", "n/a", "<na>", "none", "null", "unknown", "-", "?"})
"""What is written for an empty cell; a label, or a site, may be called so."""
MOST_BYTES = 2**27
"""Tables of a million images are smaller."""
_LONGEST_HEADER = 2**16
"""Bytes: some thousand columns."""
_SEPARATORS = ",;\t"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class Table:
    """A CSV file with a row for each image; columns path and label, and some that may be there.

    Separators are comma, semicolon or tab. The text is UTF-8, UTF-16 with its mark, or else cp949
    (Korean Windows), which is then said. Its paths are below `root`; `columns` are what a column is
    called here (path, label, patient, site, split) to what it is called in the file. Without them
    the case of letters does not matter.
    """

    file: Path
    root: Path
    columns: Mapping[str, str]

    def read(self, tree: Tree, pattern: PatientPattern) -> tuple[list[Entry], ColumnsRead]:
        """Read all rows but those that `data.exclude` leaves out; the tree lists what is not read.

        The pattern tells the patient by the path, in rows without one. Beside the entries come the
        columns that gan_aug does not know, and `site`: images may be told apart by them.

        Raises:
            GanAugError: it cannot be read, lacks a column, or a row of it is not sound.
        """
        files = (*tree.images, *(path for path in tree.others if path[-1] != "/"))
        on_disk = {normal(path): path for path in files}
        reader, names = self._open(tree)
        known = {called for name, called in names.items() if name != "site"}
        further = ColumnsRead(name for name in reader.fieldnames or () if name not in known)
        entries = []
        for line, cells in self._rows(reader):
            own = {name: normal(cells.get(called, "")) for name, called in names.items()}
            unknown = (n for n in ("patient", "split") if own[n].casefold() in _NOT_KNOWN)
            own |= dict.fromkeys(unknown, "")
            entry = self._entry(line, own, on_disk, pattern)
            # What a pattern leaves out is listed with the other files.
            if not tree.excludes(entry.path):
                entries.append(entry)
                further.add(entry.path, cells)
        if not entries:
            raise self._error("has no rows; it needs one for each image")
        paths = [entry.path for entry in entries]
        self._check_there(paths, on_disk)
        self._check_one_label(entries)
        read = {*paths}
        if self.file.resolve().is_relative_to(self.root.resolve()):
            read.add(self.file.resolve().relative_to(self.root.resolve()).as_posix())
        tree.list_unread(read, "not in data.table", lambda _: "not in data.table")
        return entries, further

    @see("multi-label")
    def _check_one_label(self, entries: list[Entry]) -> None:
        """Check that each image has one row, and that its label is one finding."""
        path, n = Counter(entry.path for entry in entries).most_common(1)[0]
        labels = sorted({entry.label for entry in entries if entry.path == path})
        if n > 1 and len(labels) == 1:
            raise self._error(f"has {path} in {n} rows; leave one")
        if n > 1:
            raise self._several(f"has {path} in {n} rows, as {' and as '.join(labels)}", labels[0])
        alone = {entry.label for entry in entries}
        for entry in entries:
            for separator in "|;,":
                findings = [part.strip() for part in entry.label.split(separator)]
                if len(findings) > 1 and (separator == "|" or {*findings} <= alone):
                    said = f"{entry.path}: its label {entry.label} is several findings"
                    raise self._several(said, findings[0])

    def _several(self, what: str, finding: str) -> GanAugError:
        return self._error(
            f"{what}, and a classifier takes one label an image; ask one finding against the rest: "
            f"one row an image, with a column that says {finding} where that is found and other "
            "where it is not, and 'data.columns={label: COLUMN}'"
        )

    def _check_there(self, paths: list[str], on_disk: Mapping[str, str]) -> None:
        """Check that not all files are missing: then their folder is, in the paths or the root."""
        first = paths[0]
        if any(normal(path) in on_disk or (self.root / path).exists() for path in paths):
            return
        ends = [path for path in on_disk.values() if f"/{path}".endswith(f"/{first}")]
        if not ends:
            name = PurePosixPath(first).name
            files = {path: PurePosixPath(path) for path in on_disk.values()}
            ends = [path for path, file in files.items() if name in (file.name, file.stem)]
        like = f"; there is {ends[0]}" if ends else ""
        raise self._error(
            f"names no file that is there: no {first} in data.root={self.root}{like}; write paths "
            "as they are below data.root, with their endings, or name another folder"
        )

    def _open(self, tree: Tree) -> tuple[csv.DictReader[str], dict[str, str]]:
        """Return its rows, and what its columns are called here to what in the file."""
        if unknown := set(self.columns) - {*NEEDED, *OPTIONAL}:
            raise GanAugError(
                f"data.columns.{min(unknown)}: is none of {', '.join((*NEEDED, *OPTIONAL))}; "
                "set what your columns are called, as in {path: image_path, label: diagnosis}"
            )
        text = self._text(tree)
        readers = {separator: self._reader(text, separator) for separator in _SEPARATORS}
        headers = {sep: list(reader.fieldnames or ()) for sep, reader in readers.items()}
        called = {sep: self._called(header) for sep, header in headers.items()}
        separator = max(
            headers, key=lambda sep: (called[sep]["path"] in headers[sep], len(headers[sep]))
        )
        reader, header, names = readers[separator], headers[separator], called[separator]
        wanted = [*NEEDED, *self.columns]
        if missing := [name for name in wanted if header.count(names[name]) != 1]:
            has = "lacks" if names[missing[0]] not in header else "has twice"
            raise self._error(
                f"{has} the column {names[missing[0]]}; it has {', '.join(header)[:200]}. It needs "
                "path and label, and may have patient, site and split; set other names with "
                "'data.columns={path: NAME, label: NAME}' (of a column for each finding, 0 or 1, "
                "one can be the label)"
            )
        for name in OPTIONAL:
            like = [one for one in header if one.casefold() == name]
            if len(like) > 1 and header.count(names[name]) != 1:
                raise self._error(
                    f"has the columns {' and '.join(like)}; leave one, or say which it is with "
                    f"'data.columns={{{name}: NAME}}'"
                )
        return reader, names

    def _called(self, header: list[str]) -> dict[str, str]:
        """Return what columns are called here to what in a file with this first line."""
        called = {}
        for name in (*NEEDED, *OPTIONAL):
            like = [one for one in header if one.casefold() == name]
            alone = name if name in like or len(like) != 1 else like[0]
            called[name] = self.columns.get(name, alone)
        return called

    def _rows(self, reader: csv.DictReader[str]) -> Iterator[tuple[int, dict[str, str]]]:
        """Yield line numbers and cells by what their column is called in the file."""
        header, separator = list(reader.fieldnames or ()), reader.reader.dialect.delimiter
        try:
            for row in reader:
                more = row.pop(None, ())
                cells = {name: (cell or "").strip("\ufeff \t") for name, cell in row.items()}
                if list(cells.values()) == header and not more:
                    raise self._error(
                        f"line {reader.line_num}: is the header once more; were two tables joined? "
                        "Remove that line"
                    )
                if any(more):
                    raise self._error(
                        f"line {reader.line_num}: has {len(row) + len(more)} cells, the first line "
                        f"{len(header)}; put quotes around cells that hold {separator!r}"
                    )
                if any(cells.values()):
                    yield reader.line_num, cells
        except csv.Error as error:
            raise self._error(f"line {reader.line_num}: cannot be read as CSV ({error})") from error

    def _reader(self, text: str, separator: str) -> csv.DictReader[str]:
        stream = io.StringIO(text, newline="")
        reader = csv.DictReader(stream, delimiter=separator, skipinitialspace=True)
        with suppress(csv.Error):
            if text[:4].casefold() == "sep=":  # what Excel writes first of all
                next(reader.reader)
            reader.fieldnames = [cell.strip() for cell in reader.fieldnames or ()]
            if reader.fieldnames:
                return reader
        raise self._error("cannot be read as CSV (it has no first line)")

    def _text(self, tree: Tree) -> str:
        try:
            with open_regular(self.file, MOST_BYTES) as file:
                start = file.readline(_LONGEST_HEADER)
                if len(start) == _LONGEST_HEADER:
                    raise self._error(
                        f"its first line is longer than {_LONGEST_HEADER} bytes; it needs a line "
                        "for each image, and few columns"
                    )
                data = start + file.read()
        except OSError as error:
            raise self._error(
                f"cannot be read as CSV ({error.strerror}); name a file with a line for each image"
            ) from error
        for encoding in ("utf-16" if data.startswith(_UTF_16) else "utf-8-sig", "cp949"):
            with suppress(UnicodeDecodeError):
                text = data.decode(encoding)
                break
        else:
            raise self._error(
                "is text neither in UTF-8 nor in UTF-16 with its mark nor in cp949; save it as "
                "CSV in UTF-8"
            )
        if encoding == "cp949":
            tree.warnings.append(
                f"data.table={self.file}: is not UTF-8, read as cp949 (Korean Windows); look at "
                "the names of its classes"
            )
        if "\0" in text:
            raise self._error("holds NUL characters; save it as CSV in UTF-8")
        return text

    def _entry(
        self, line: int, cells: dict[str, str], on_disk: dict[str, str], pattern: PatientPattern
    ) -> Entry:
        for name in NEEDED:
            if not cells[name]:
                raise self._error(f"line {line}: has no {name}; fill it in or remove the line")
        path = self._below_root(cells["path"], on_disk)
        if path is None:
            raise self._error(
                f"line {line}: {cells['path']} leads out of data.root={self.root}; name files in it"
            )
        split = cells.get("split", "").casefold()
        if split and split not in SPLITS:
            raise self._error(f"line {line}: split={split} is none of train, val, test; mend it")
        patient = cells.get("patient") or None
        if patient is not None and cells.get("site"):
            patient = f"{cells['site']}/{patient}"
        return Entry(
            on_disk.get(path, path),
            cells["label"],
            SPLITS[split] if split else None,
            patient or pattern.patient(path),
        )

    def _below_root(self, cell: str, on_disk: Mapping[str, str]) -> str | None:
        for top in (self.root.absolute(), self.root.resolve()):
            if Path(cell).is_relative_to(top):
                cell = Path(cell).relative_to(top).as_posix()
        if "\\" in cell and cell not in on_disk:
            windows = PureWindowsPath(cell)
            if windows.drive:
                return None
            cell = windows.as_posix()
        path = PurePosixPath(cell)
        inside = not path.is_absolute() and ".." not in path.parts and path.parts
        return path.as_posix() if inside else None

    def _error(self, what: str) -> GanAugError:
        return GanAugError(f"data.table={self.file}: {what}")
