"""Lowering: from dask-awkward's graph of a blueprint to steps."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import awkward as ak
from dask._task_spec import (
    Alias,
    DataNode,
    Dict,
    GraphNode,
    List,
    Set,
    Task,
    TaskRef,
    Tuple,
    convert_legacy_task,
)
from dask.blockwise import blockwise_token
from dask_awkward.layers import AwkwardBlockwiseLayer, AwkwardInputLayer
from dask_awkward.layers.layers import AwkwardTreeReductionLayer
from dask_awkward.lib.core import ArgsKwargsPackedFunction
from dask_awkward.lib.structure import _ArgCartesianFn, _CartesianFn

from lazyana.errors import FrameMismatchError, LazyValueError
from lazyana.plan.program import SOURCE, Ref, Step, filled

_CONTAINERS = {List: list, Tuple: tuple, Set: set}
_REPACKING = {_CartesianFn: ak.cartesian, _ArgCartesianFn: ak.argcartesian}
_BLUEPRINT = "events-lazyana-"


def constant(value: Any) -> Any:
    """A value that the graph holds as it is, such as a correction."""
    return value


def lower(collections: Iterable[Any]) -> dict[str, Step]:
    """Steps that compute some lazy columns, by key.

    Parameters
    ----------
    collections
        Columns recorded on one blueprint.

    Returns
    -------
    dict
        The steps of all of them. The key of a column's own step is its name; the events
        themselves have the key ``"@events"``.

    Raises
    ------
    LazyValueError
        A column that needs all events at once, e.g. ``ak.sum`` over events.
    FrameMismatchError
        A column made of arrays that are not in the events, or of two recordings.
    """
    steps: dict[str, Step] = {}
    done: set[str] = set()
    sources: set[str] = set()
    for collection in collections:
        graph = collection.__dask_graph__()
        stack = [collection.name]
        while stack:
            name = stack.pop()
            if name in done:
                continue
            done.add(name)
            layer = graph.layers[name]
            if isinstance(layer, AwkwardInputLayer):
                sources.add(_checked_source(name, sources))
                steps[name] = Step(name, constant, (Ref(SOURCE),))
            else:
                steps.update(_lower_layer(name, layer))
            stack.extend(graph.dependencies[name])
    return steps


def _checked_source(name: str, others: set[str]) -> str:
    if not name.startswith(_BLUEPRINT):
        msg = (
            f"A column is made of {_word(name)!r}, a dask-awkward array that is not of these "
            "events. Put the numbers in as a plain array inside a function: "
            "dask_awkward.map_partitions(function, column)."
        )
        raise FrameMismatchError(msg)
    if others - {name}:
        msg = "A column mixes the events of two frames that were opened separately."
        raise FrameMismatchError(msg)
    return name


def combines_all_events(what: str) -> str:
    """Message for a column that needs more events than those of its partition."""
    return (
        f"{what} combines all events (it reduces over axis 0 or None), which a lazy column cannot: "
        "each task sees only a part of them. Give an axis (axis=1 or -1 for the objects of each "
        "event), or compute events.sum(column) first and use its value."
    )


def _lower_layer(name: str, layer: Any) -> dict[str, Step]:
    if isinstance(layer, AwkwardTreeReductionLayer):
        raise LazyValueError(combines_all_events(repr(_word(name))))
    if type(layer) is AwkwardBlockwiseLayer and not layer.io_deps:
        return _lower_blockwise(name, layer)
    tasks = dict(layer)
    if any(isinstance(key, tuple) and key[1:] != (0,) for key in tasks):
        msg = f"{_word(name)!r} rearranges events across partitions, which a lazy column cannot."
        raise LazyValueError(msg)
    steps: dict[str, Step] = {}
    names = {*tasks, *layer.get_output_keys()}
    for key, task in tasks.items():
        _lower_task(_flat_key(key), convert_legacy_task(key, task, names), steps)
    return steps


def _lower_blockwise(name: str, layer: Any) -> dict[str, Step]:
    """The steps of a layer with one task a partition, which need not be written out to be known."""
    written: dict[str, Step] = {}
    _lower_task(name, layer.task, written)
    values = {
        blockwise_token(position): _convert(value, name, written) if index is None else Ref(value)
        for position, (value, index) in enumerate(layer.indices)
    }
    return {
        key: Step(key, step.function, filled(step.args, values), filled(step.kwargs, values))
        for key, step in written.items()
    }


def _lower_task(key: str, task: Any, steps: dict[str, Step]) -> None:
    """Add the step of a task, and those of tasks nested in its arguments."""
    if not isinstance(task, Task) or type(task) in _CONTAINERS or isinstance(task, Dict):
        steps[key] = Step(key, constant, (_convert(task, key, steps),))
        return
    function = task.func
    args = tuple(_convert(item, key, steps) for item in task.args)
    kwargs = {name: _convert(item, key, steps) for name, item in task.kwargs.items()}
    if isinstance(function, ArgsKwargsPackedFunction):
        # dask-awkward flattens nested arguments; put them back together once, here.
        repacked, kwargs = function._repack(*args)
        function, args = function.fn, tuple(repacked)
    for kind, plain in _REPACKING.items():
        # The same for these two, whose repackers hold random names too.
        if isinstance(function, kind):
            packed: Any = function
            args, kwargs = tuple(packed.repacker(args)), _plain_keywords(packed.kwargs)
            function = plain
    steps[key] = Step(key, plain_behavior(function), args, dict(kwargs))


def _convert(value: Any, key: str, steps: dict[str, Step]) -> Any:  # noqa: PLR0911  (one line a kind)
    """Arguments as plain Python with `Ref` for the values of other steps."""
    if isinstance(value, Alias):
        return Ref(_flat_key(value.target))
    if isinstance(value, TaskRef):
        return Ref(_flat_key(value.key))
    if isinstance(value, DataNode):
        return value.value
    if isinstance(value, Dict):
        pairs = [_convert(item, key, steps) for item in value.args]
        return dict(zip(pairs[::2], pairs[1::2], strict=True))
    for kind, plain in _CONTAINERS.items():
        if isinstance(value, kind):
            return plain(_convert(item, key, steps) for item in value.args)
    if isinstance(value, Task):
        inner = f"{key}/{len(steps)}"
        _lower_task(inner, value, steps)
        return Ref(inner)
    if isinstance(value, GraphNode):
        msg = f"A dask {type(value).__name__} inside an argument is not supported: {value!r}."
        raise LazyValueError(msg)
    if isinstance(value, tuple | list):
        items = [_convert(item, key, steps) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if type(value) is dict:
        return {name: _convert(item, key, steps) for name, item in value.items()}
    return value


def _plain_keywords(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords without a copy of the methods dictionary, and without those that say nothing."""
    return {
        name: value
        for name, value in kwargs.items()
        if value is not None and not (name == "behavior" and isinstance(value, Mapping))
    }


def plain_behavior(function: Any) -> Any:
    """The function without a copy of the methods dictionary that its arrays carry anyway."""
    behavior = getattr(function, "behavior", None)
    if not isinstance(behavior, Mapping) or not hasattr(function, "__dict__"):
        return function
    lean = copy.copy(function)
    lean.behavior = None
    return lean


def _flat_key(key: Any) -> str:
    return str(key[0]) if isinstance(key, tuple) else str(key)


def _word(name: str) -> str:
    return name.rpartition("-")[0].strip("-") or name
