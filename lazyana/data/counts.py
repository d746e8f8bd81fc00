"""Counters: whether the lists of a branch are as long as the counter of their collection says.

Damage to data that is compressed without a checksum may decompress to other numbers. Collections
are stored twice over, as lists and as the counter of their lengths: where these disagree, one of
them is damaged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
from coffea.nanoevents.util import unquote

_COUNTED = ",!load,!counts2offsets"
_CONTENT = ",!load,!content"


@dataclass(frozen=True)
class Disagreement:
    """Where lists and their counter are not of one opinion.

    Attributes
    ----------
    branch, counter
        Names of the two branches.
    event
        The first event in which they differ.
    length, count
        Number of items there, by the lists and by the counter.
    """

    branch: str
    counter: str
    event: int
    length: int
    count: int


def counters_of(form: ak.forms.Form) -> dict[str, str]:
    """For each branch whose lists a schema divides up by a counter, the name of that counter.

    Parameters
    ----------
    form
        Form of the events, with coffea's form keys.
    """
    return dict(_counted(form, ""))


def disagreement(
    arrays: Mapping[str, ak.contents.Content], counters: Mapping[str, str]
) -> Disagreement | None:
    """The first disagreement of lists with their counter, if there is any.

    Parameters
    ----------
    arrays
        Branches as read, shape ``(events, ...)``, by name.
    counters
        From `counters_of`.
    """
    ends: dict[str, Any] = {}
    for branch, counter in counters.items():
        lists, counts = arrays.get(branch), arrays.get(counter)
        if not isinstance(lists, ak.contents.ListOffsetArray) or counts is None or not len(counts):
            continue
        if counter not in ends:
            # In place: fresh memory costs more than the sum.
            sums = ak.to_numpy(counts).astype(np.int64)
            ends[counter] = np.cumsum(sums, out=sums)
        offsets = np.asarray(lists.offsets)
        if offsets[0]:
            offsets = offsets - offsets[0]
        if not np.array_equal(offsets[1:], ends[counter]):
            event = int((offsets[1:] != ends[counter]).argmax())
            length = int(offsets[event + 1] - offsets[event])
            return Disagreement(branch, counter, event, length, int(ak.to_numpy(counts)[event]))
    return None


def _counted(form: Any, counter: str) -> Iterator[tuple[str, str]]:
    key = unquote(form.form_key or "")
    if form.is_list:
        name, _, rest = key.partition(_COUNTED)
        of_counter = rest in {"", ",!skip"} and "," not in name
        yield from _counted(form.content, name if of_counter else "")
    elif form.is_record:
        for content in form.contents:
            yield from _counted(content, counter)
    elif form.is_option or form.is_indexed:
        yield from _counted(form.content, "")
    elif counter and form.is_numpy and key.endswith(_CONTENT):
        branch = key.removesuffix(_CONTENT)
        if "," not in branch:
            yield branch, counter
