"""TTrees: what inspection notes of them, and reading their baskets."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import awkward as ak

from lazyana.errors import FileError
from lazyana.options import ReadOptions
from lazyana.reader.baskets import BasketIndex, Baskets, baskets_of, unpack
from lazyana.reader.decode import BasketError, UnusualBasketError, decode, open_basket
from lazyana.reader.fileinfo import FileInfo, Layout, Sizes
from lazyana.reader.header import HEADER_BYTES, Header
from lazyana.reader.origin import (
    WEIGHT,
    nano_version,
    sums_of_runs,
    tag_of,
    weights_of_events,
)
from lazyana.reader.ranges import CutShortError, Range, read_ranges
from lazyana.reader.spans import Note, Span
from lazyana.reader.trees import ReplacedError, open_kept, read_branch


def note_tree(
    url: str, name: str, tree: Any, layout: Layout, places: Mapping[str, int]
) -> FileInfo:
    """What there is to know of a TTree opened by uproot.

    Parameters
    ----------
    url, name
        Where it is.
    tree
        The tree.
    layout, places
        Its layout, and the position of each branch.
    """
    packed, unpacked = (array("q", bytes(8 * len(places))) for _ in range(2))
    for branch in tree.branches:
        packed[places[branch.name]] += int(branch.compressed_bytes)
        unpacked[places[branch.name]] += int(branch.uncompressed_bytes)
    baskets = baskets_of(tree)
    weights: float | None = None
    signs: float | None = None
    if WEIGHT in places and WEIGHT not in baskets:
        # What is in the index is read without the tree.
        weights, signs = weights_of_events(lambda branch: tree[branch].array(library="np"))
    root = tree.file.root_directory
    origin = sums_of_runs(root, name)
    return FileInfo(
        url=url,
        tree=name,
        uuid=str(tree.file.uuid),
        entries=int(tree.num_entries),
        signature=layout.signature,
        branch_bytes=Sizes(places, packed),
        branch_memory=Sizes(places, unpacked),
        clusters=_clusters(baskets.values(), int(tree.num_entries)),
        index=BasketIndex.build(baskets),
        file_bytes=int(tree.file.fEND),
        compression=str(tree.file.compression or "none"),
        sum_weights=weights if origin[0] is None else origin[0],
        sum_signs=signs if origin[1] is None else origin[1],
        origin=origin,
        nano_version=nano_version(places, tag_of(root)),
    )


def _clusters(branches: Iterable[Baskets], entries: int) -> tuple[int, ...]:
    """The basket boundaries that hold most of the bytes."""
    weight: dict[bytes, int] = {}
    edges: dict[bytes, Baskets] = {}
    for one in branches:
        key = one.edges.tobytes()
        edges[key] = one
        weight[key] = weight.get(key, 0) + int(one.sizes.sum())
    if not weight:
        return (0, entries) if entries else (0,)
    heaviest = max(weight, key=lambda key: (weight[key], key))
    return tuple(dict.fromkeys(edges[heaviest].edges.tolist()))


def read_tree(
    url: str,
    span: Span,
    names: Iterable[str],
    planned: Sequence[str],
    options: ReadOptions,
    note: Note,
) -> dict[str, ak.contents.Content]:
    """Some branches of a span of a TTree, as a `Reader`: from its baskets, else by uproot."""
    names = list(names)
    indexed = unpack(span.baskets, planned)
    found = _read_baskets(
        url,
        span,
        {name: indexed[name].between(span.start, span.stop) for name in names if name in indexed},
        options,
    )
    left = [name for name in names if name not in found]
    if left:
        tree = open_kept(url, span, options)
        for name in left:
            note(name)
            found[name] = read_branch(tree, name, span).layout
    return found


def _read_baskets(
    url: str, span: Span, wanted: Mapping[str, Baskets], options: ReadOptions
) -> dict[str, ak.contents.Content]:
    if not wanted:
        return {}
    ranges: list[Range] = [(0, HEADER_BYTES)]
    for one in wanted.values():
        starts = one.seeks.tolist()
        ranges += [
            (first, first + size) for first, size in zip(starts, one.sizes.tolist(), strict=True)
        ]
    try:
        head, *buffers = read_ranges(url, ranges, options)
    except CutShortError as error:
        raise FileError(_beyond(span, wanted, error)) from error
    _check_header(url, span, head)
    owners = [name for name, one in wanted.items() for _ in one.seeks]
    opened: dict[str, list[Any]] = {name: [] for name in wanted}

    def unpacked(item: tuple[str, memoryview]) -> Any:
        name, buffer = item
        try:
            return open_basket(buffer)
        except UnusualBasketError:
            return None
        except BasketError as error:
            raise FileError(_damaged(url, span, name, error)) from error

    items = list(zip(owners, buffers, strict=True))
    if options.decompression_threads > 1 and len(items) > 1:
        with ThreadPoolExecutor(options.decompression_threads) as pool:
            baskets = list(pool.map(unpacked, items))
    else:
        baskets = list(map(unpacked, items))
    for name, basket in zip(owners, baskets, strict=True):
        opened[name].append(basket)
    found: dict[str, ak.contents.Content] = {}
    for name, one in wanted.items():
        if any(basket is None for basket in opened[name]):
            continue  # left to uproot
        try:
            found[name] = decode(one, opened[name], span.start, span.stop)
        except UnusualBasketError:
            continue
        except BasketError as error:
            raise FileError(_damaged(url, span, name, error)) from error
    return found


def _damaged(url: str, span: Span, name: str, error: BasketError) -> str:
    return (
        f"Branch {name!r}, entries {span.start}-{span.stop} of {url}, cannot be read: {error}. "
        "The file is damaged: copy it again."
    )


def _beyond(span: Span, wanted: Mapping[str, Baskets], error: CutShortError) -> str:
    """Message for a file that ends before the baskets of some branches."""
    lost = [name for name, one in wanted.items() if (one.seeks + one.sizes > error.size).any()]
    more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
    what = f"Branch {lost[0]!r}{more}" if lost else "Nothing"
    verb = "cannot be read in" if lost else "can be read in"
    return f"{what} {verb} entries {span.start}-{span.stop}: {error} Copy the file again."


def _check_header(url: str, span: Span, head: memoryview) -> None:
    """Refuse a file that is not the one inspected."""
    header = Header.of(head)
    if header is None or header.uuid != span.uuid:
        raise ReplacedError(url)
    if span.file_bytes and header.end != span.file_bytes:
        raise ReplacedError(url)
