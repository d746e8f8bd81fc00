"""Lowering: from dask-awkward's graph of a blueprint to steps."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from dask._task_spec import Alias, DataNode, Dict, GraphNode, List, Set, Task, TaskRef, Tuple
from dask_awkward.layers import AwkwardInputLayer
from dask_awkward.layers.layers import AwkwardTreeReductionLayer
from dask_awkward.lib.core import ArgsKwargsPackedFunction

from lazyana.errors import LazyValueError
from lazyana.plan.program import SOURCE, Ref, Step

_CONTAINERS = {List: list, Tuple: tuple, Set: set}


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
    """
    steps: dict[str, Step] = {}
    for collection in collections:
        graph = collection.__dask_graph__()
        stack = [collection.name]
        while stack:
            name = stack.pop()
            if name in steps or name == SOURCE:
                continue
            layer = graph.layers[name]
            steps.update(_lower_layer(name, layer))
            stack.extend(graph.dependencies[name])
    return steps


def _lower_layer(name: str, layer: Any) -> dict[str, Step]:
    if isinstance(layer, AwkwardInputLayer):
        return {name: Step(name, constant, (Ref(SOURCE),))}
    if isinstance(layer, AwkwardTreeReductionLayer):
        msg = (
            f"{_word(name)!r} combines all events (it reduces over axis 0 or None), which a lazy "
            "column cannot: each task sees only a part of them. Give an axis (axis=1 or -1 for "
            "the objects of each event), or compute events.sum(column) first and use its value."
        )
        raise LazyValueError(msg)
    tasks = dict(layer)
    if any(isinstance(key, tuple) and key[1:] != (0,) for key in tasks):
        msg = f"{_word(name)!r} rearranges events across partitions, which a lazy column cannot."
        raise LazyValueError(msg)
    steps = {}
    for key, task in tasks.items():
        step = _lower_task(_flat_key(key), task)
        steps[step.key] = step
    return steps


def _lower_task(key: str, task: Any) -> Step:
    if isinstance(task, Task):
        function, args, kwargs = task.func, _convert(task.args), _convert(dict(task.kwargs))
        if isinstance(function, ArgsKwargsPackedFunction):
            # dask-awkward flattens nested arguments; put them back together once, here.
            repacked, keywords = function._repack(*args)
            return Step(key, plain_behavior(function.fn), tuple(repacked), dict(keywords))
        return Step(key, plain_behavior(function), tuple(args), kwargs)
    return Step(key, constant, (_convert(task),))


def _convert(value: Any) -> Any:
    """Arguments as plain Python with `Ref` for the values of other steps."""
    if isinstance(value, Alias):
        return Ref(_flat_key(value.target))
    if isinstance(value, TaskRef):
        return Ref(_flat_key(value.key))
    if isinstance(value, DataNode):
        return value.value
    if isinstance(value, Dict):
        pairs = [_convert(item) for item in value.args]
        return dict(zip(pairs[::2], pairs[1::2], strict=True))
    for kind, plain in _CONTAINERS.items():
        if isinstance(value, kind):
            return plain(_convert(item) for item in value.args)
    if isinstance(value, GraphNode):
        msg = f"A dask {type(value).__name__} inside an argument is not supported: {value!r}."
        raise LazyValueError(msg)
    if isinstance(value, tuple | list):
        return type(value)(_convert(item) for item in value)
    if type(value) is dict:
        return {key: _convert(item) for key, item in value.items()}
    return value


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
