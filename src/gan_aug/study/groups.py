"""The groups of images that a study measures apart: which columns there are, who is in them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from gan_aug.data.groups import FEWEST, MOST_GROUPS, Groups, GroupsByColumn
from gan_aug.data.image_table import ImageTable
from gan_aug.data.source import Source
from gan_aug.data.splits import Splits
from gan_aug.runtime.errors import GanAugError, as_typed
from gan_aug.settings.base import Plain
from gan_aug.settings.by_name import class_named, normal
from gan_aug.settings.design import OF_DRAW, Design, Endpoint

NEVER = "validation"
"""The split whose groups are not measured: it chooses."""


def settle_groups(study: Design, source: Source) -> Plain:
    """Return `study.subgroups` and `study.endpoints` with the columns and names of the data.

    A column that an external test alone has is taken too: its groups are measured there.

    Raises:
        GanAugError: there is no such column or value, or the column is one of many values.
    """
    values: Plain = {}
    if study.subgroups:
        setting = f"study.subgroups=[{','.join(study.subgroups)}]"
        tables = [source.train, *(one.table for one in source.external.values())]
        there = list(dict.fromkeys(column for table in tables for column in table.groups))
        values["study.subgroups"] = [
            _column(one, there, source.no_groups, setting) for one in study.subgroups
        ]
    endpoints = []
    for i, one in enumerate(study.endpoints):
        endpoint = one.model_dump(exclude_unset=True)
        if one.group is not None:
            endpoint["group"] = _group(one, source, f"study.endpoints[{i}].group")
        endpoints.append(endpoint)
    return values | {"study.endpoints": endpoints}


def _column(typed: str, there: Collection[str], no_groups: Mapping[str, str], setting: str) -> str:
    column = normal(typed)
    if column in there:
        return column
    if (why := no_groups.get(column)) is not None:
        raise GanAugError(
            f"{setting}: the column {column} {why}, which tells no groups; add a column of at most "
            f"{MOST_GROUPS} short values to data.table, age_group with 0-40 and 41-70 say, and "
            "name that"
        )
    if not there and not no_groups:
        raise GanAugError(
            f"{setting}: nothing is said of these images but class and patient; groups are further "
            "columns of data.table (data=folder)"
        )
    others = [f"{name} ({why})" for name, why in no_groups.items()]
    without = f"; without groups: {', '.join(others)}" if others else ""
    named = ", ".join(there) or "none of groups"
    raise GanAugError(f"{setting}: there is no column {column}; data.table has {named}{without}")


def _group(endpoint: Endpoint, source: Source, key: str) -> dict[str, str]:
    assert endpoint.group is not None
    ((typed, value),) = endpoint.group.items()
    setting, split = f"{key}={{{as_typed(typed)}: {as_typed(value)}}}", endpoint.split
    if split == NEVER:
        raise GanAugError(
            f"{setting}: {NEVER} chooses, and is not measured by groups; leave it out"
        )
    table, no_groups = source.train, source.no_groups
    if split in source.external:
        table, no_groups = source.external[split].table, {}
    column = _column(as_typed(typed), table.groups, no_groups, setting)
    return {column: class_named(value, table.groups[column].names, setting, "values")}


def check_groups(study: Design, splits: Splits) -> None:
    """Refuse a declared endpoint of a group with too few images of a class.

    Not where each draw has images of its own: one of too few has no number there.
    """
    for i, one in enumerate(study.endpoints):
        if one.group is None or one.split in OF_DRAW:
            continue
        ((column, name),) = one.group.items()
        table = splits.table(one.split)
        if column not in table.groups or name not in table.groups[column].names:
            raise GanAugError(  # an external test may have a table without it
                f"study.endpoints[{i}].group={{{column}: {name}}}: no {one.split} image is of that "
                "group; leave it out, or add the column to the table of that set"
            )
        groups = table.groups[column]
        inside = groups.of_images == groups.names.index(name)
        counts = splits.classes.counts(np.asarray(table.labels[inside]))
        lacking = min(counts, key=lambda each: counts[each])
        if counts[lacking] < FEWEST:
            raise GanAugError(
                f"study.endpoints[{i}].group={{{column}: {name}}}: {counts[lacking]} of these "
                f"{one.split} images are {lacking}, {FEWEST} are the fewest; leave it out"
            )


def groups_to_keep(study: Design, tables: Mapping[str, ImageTable]) -> dict[str, dict[str, Groups]]:
    """Return what the study's columns say of the images of each split that is measured."""
    kept: dict[str, dict[str, Groups]] = {}
    for split, table in tables.items():
        of_split: GroupsByColumn = {} if split == NEVER else table.groups
        if found := {name: of_split[name] for name in study.group_columns if name in of_split}:
            kept[split] = found
    return kept
