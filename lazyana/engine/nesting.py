"""The nesting of dicts, lists and tuples in which outputs are asked for and come back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from lazyana.errors import FileError, InputError, InputTypeError

Key = str | int
Kind = Literal["output", "dict", "list", "tuple"]


@dataclass(frozen=True)
class Nesting:
    """A tree whose leaves are outputs, without the outputs themselves.

    Attributes
    ----------
    kind
        ``"output"`` for a leaf, else the kind of container.
    keys
        Keys of a dict, positions of a list or tuple.
    children
        What is under each key.
    """

    kind: Kind
    keys: tuple[Key, ...] = ()
    children: tuple[Nesting, ...] = ()

    @cached_property
    def size(self) -> int:
        """Number of outputs in this tree."""
        return 1 if self.kind == "output" else sum(child.size for child in self.children)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Number of outputs before each child."""
        counts = [0]
        for child in self.children:
            counts.append(counts[-1] + child.size)
        return tuple(counts[:-1])

    def paths(self, prefix: str = "") -> Iterator[str]:
        """Path-like names of the outputs, e.g. ``"regions/SR/0"``; ``""`` for a single one."""
        if self.kind == "output":
            yield prefix
        for key, child in zip(self.keys, self.children, strict=True):
            yield from child.paths(f"{prefix}/{key}" if prefix else str(key))

    def join(self, outputs: Iterator[Any]) -> Any:
        """Outputs in order, put back into dicts, lists and tuples."""
        match self.kind:
            case "output":
                return next(outputs)
            case "dict":
                return {
                    key: child.join(outputs)
                    for key, child in zip(self.keys, self.children, strict=True)
                }
            case "list":
                return [child.join(outputs) for child in self.children]
            case "tuple":
                return tuple([child.join(outputs) for child in self.children])

    def to_json(self, outputs: Iterator[Mapping[str, Any]]) -> dict[str, Any]:
        """Tree in JSON terms; every leaf carries the next description out of `outputs`."""
        if self.kind == "output":
            return {"kind": "output", **next(outputs)}
        nodes = [child.to_json(outputs) for child in self.children]
        if self.kind == "dict":
            return {"kind": "dict", "items": [list(x) for x in zip(self.keys, nodes, strict=True)]}
        return {"kind": self.kind, "items": nodes}

    @classmethod
    def from_json(cls, node: Mapping[str, Any]) -> tuple[Nesting, list[dict[str, Any]]]:
        """The tree and the descriptions of its leaves: the inverse of `to_json`."""
        kind = node["kind"]
        if kind == "output":
            return cls("output"), [dict(node)]
        if kind not in ("dict", "list", "tuple"):
            msg = f"A nesting of kind {kind!r} is not known; dict, list, tuple and output are."
            raise FileError(msg)
        if kind == "dict":
            keys: tuple[Key, ...] = tuple(key for key, _ in node["items"])
            nodes = [child for _, child in node["items"]]
        else:
            keys = tuple(range(len(node["items"])))
            nodes = node["items"]
        parts = [cls.from_json(child) for child in nodes]
        children = tuple(tree for tree, _ in parts)
        return cls(kind, keys, children), [leaf for _, leaves in parts for leaf in leaves]


def split(
    outputs: Any, is_output: Callable[[Any], bool] | None = None
) -> tuple[Nesting, list[Any]]:
    """Take a nesting apart into its shape and its outputs.

    Parameters
    ----------
    outputs
        Any nesting of dict (keys str or int), list and tuple; or one output.
    is_output
        What counts as an output; without it, everything that is not a dict, list or tuple.

    Returns
    -------
    nesting
        The shape.
    list
        The outputs in order of appearance.

    Raises
    ------
    InputTypeError
        For dict keys that are neither str nor int, and for what is neither container nor output.
    InputError
        For two outputs with the same path, e.g. under the keys ``1`` and ``"1"``.
    """
    found: list[Any] = []
    nesting = _split(outputs, is_output or _is_leaf, "", found)
    seen: set[str] = set()
    for path in nesting.paths():
        if path in seen:
            msg = (
                f"Two outputs have the path {path!r} (the keys joined by '/'); "
                "rename one of the keys so that every output has a name of its own."
            )
            raise InputError(msg)
        seen.add(path)
    return nesting, found


def _is_leaf(node: Any) -> bool:
    return not isinstance(node, dict | list | tuple)


def _split(node: Any, is_output: Callable[[Any], bool], path: str, found: list[Any]) -> Nesting:
    if is_output(node):
        found.append(node)
        return Nesting("output")
    if isinstance(node, dict):
        kind: Kind = "dict"
        items = list(node.items())
    elif isinstance(node, list | tuple):
        kind = "list" if isinstance(node, list) else "tuple"
        items = list(enumerate(node))
    else:
        msg = (
            f"{type(node).__name__} {_short(node)}{_at(path)} is not an output; give what "
            ".hist(), .columns(), .cutflow() or .sum() return, in any nesting of dict, list, tuple."
        )
        raise InputTypeError(msg)
    children = []
    for key, value in items:
        if isinstance(key, bool) or not isinstance(key, str | int):
            msg = (
                f"The key {key!r} of the outputs{_at(path)} is a {type(key).__name__}; "
                "keys are str or int."
            )
            raise InputTypeError(msg)
        children.append(_split(value, is_output, f"{path}/{key}" if path else str(key), found))
    return Nesting(kind, tuple(key for key, _ in items), tuple(children))


def _at(path: str) -> str:
    return f" at {path!r}" if path else ""


def _short(node: Any) -> str:
    text = repr(node)
    return text if len(text) <= 60 else f"{text[:57]}..."
