"""Trees kept open from partition to partition, and the branches in them, read by uproot."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import awkward as ak

from lazyana.data.inspect import FileState, file_state, open_tree
from lazyana.data.partitions import Partition
from lazyana.errors import FileError
from lazyana.options import RunOptions

_trees = threading.local()


def open_kept(partition: Partition, keep: int = RunOptions.open_files) -> Any:
    """The tree of a partition, kept open by this thread for the next partition of the file.

    Parameters
    ----------
    partition
        Which file and tree.
    keep
        How many trees the thread keeps open.

    Raises
    ------
    FileError
        A file that cannot be opened, or was replaced since it was inspected.
    """
    cache: OrderedDict[tuple[str, str], tuple[FileState | None, Any]]
    cache = _trees.__dict__.setdefault("cache", OrderedDict())
    key = (partition.url, partition.tree)
    state = file_state(partition.url)
    known, tree = cache.pop(key, (None, None))
    if tree is not None and known != state:
        # Written over since this thread opened it.
        tree.file.close()
        tree = None
    if tree is None:
        tree = open_tree(partition.url, partition.tree)
    if str(tree.file.uuid) != partition.uuid:
        tree.file.close()
        msg = (
            f"{partition.url} was replaced since it was inspected (other file identifier). "
            "Open the fileset again with la.open so that it is inspected anew."
        )
        raise FileError(msg)
    cache[key] = (state, tree)
    while len(cache) > keep:
        _, (_, oldest) = cache.popitem(last=False)
        oldest.file.close()
    return tree


def read_branch(tree: Any, name: str, partition: Partition) -> ak.Array:
    """One branch of a partition, shape ``(events, ...)``.

    Raises
    ------
    FileError
        A branch that cannot be read, or ends too early.
    """
    where = f"entries {partition.start}-{partition.stop} of {partition.url}"
    try:
        array = tree[name].array(
            entry_start=partition.start, entry_stop=partition.stop, library="ak"
        )
    except Exception as error:
        msg = f"Branch {name!r}, {where}, cannot be read: {type(error).__name__}: {error}"
        raise FileError(msg) from error
    if len(array) != partition.entries:
        msg = f"Branch {name!r}, {where}, has {len(array)} entries instead of {partition.entries}."
        raise FileError(msg)
    return array
