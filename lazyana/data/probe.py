"""Arrays without data that note what is touched of them, to be touched in others of their kind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import awkward as ak
from awkward.typetracer import typetracer_with_report

Path: TypeAlias = tuple[str | None, ...]
"""Where in an array a buffer is: names of fields, and None for going into a list."""

Touch: TypeAlias = tuple[Path, bool]
"""Where a buffer is, and whether its data are needed or only its length."""


@dataclass(frozen=True, eq=False)
class Probe:
    """An array without data that notes what is touched of it.

    Attributes
    ----------
    array
        The array.
    report
        Its report.
    paths
        Where in the array the buffers of each form key are.
    """

    array: ak.Array
    report: Any
    paths: tuple[Path, ...]

    @classmethod
    def like(cls, value: ak.Array) -> Probe:
        """A probe of the form of another array."""
        return cls._made(value, value.layout.form_with_key("{id}"))

    @classmethod
    def of_type(cls, value: ak.Array) -> Probe:
        """A probe of the type of another array, in the simplest form that there is of it."""
        return cls._made(value, ak.forms.from_type(value.layout.form.type))

    @classmethod
    def _made(cls, value: ak.Array, form: Any) -> Probe:
        paths: list[Path] = []
        form = _numbered(form, (), paths)
        array, report = typetracer_with_report(
            form, highlevel=True, behavior=value.behavior, attrs=value.attrs, buffer_key=_buffer_key
        )
        return cls(array, report, tuple(paths))

    @property
    def touched(self) -> frozenset[Touch]:
        """What was touched of it so far."""
        data = {self.paths[int(key)] for key in self.report.data_touched}
        shapes = {self.paths[int(key)] for key in self.report.shape_touched}
        # A field is as long as its record, and data have a length.
        shapes = {path for path in shapes - data if not path or path[-1] is None}
        return frozenset((*((path, True) for path in data), *((path, False) for path in shapes)))


def touch_buffers(value: ak.Array, touched: Iterable[Touch]) -> None:
    """Touch in an array what was touched of a probe like it."""
    for path, data in touched:
        _touch(value.layout, path, data)


def _buffer_key(form_key: str, attribute: str, form: Any = None) -> str:
    del attribute, form
    return form_key


def _numbered(form: Any, path: Path, paths: list[Path]) -> Any:
    """The form, the key of each node the number of its path in `paths`."""
    key = str(len(paths))
    paths.append(path)
    if form.is_record:
        contents = [_numbered(form.content(name), (*path, name), paths) for name in form.fields]
        return form.copy(contents=contents, form_key=key)
    if form.is_union:
        contents = [_numbered(item, path, paths) for item in form.contents]
        return form.copy(contents=contents, form_key=key)
    if hasattr(form, "content"):
        inner = (*path, None) if form.is_list else path
        return form.copy(content=_numbered(form.content, inner, paths), form_key=key)
    return form.copy(form_key=key)


def _touch(layout: Any, path: Path, data: bool) -> None:
    """Touch the buffers at a path, and those that are needed to get there."""
    if layout.is_union:
        layout._touch_data(recursive=False)
        for content in layout.contents:
            _touch(content, path, data)
    elif layout.is_option or layout.is_indexed:
        layout._touch_data(recursive=False)
        _touch(layout.content, path, data)
    elif not path:
        (layout._touch_data if data else layout._touch_shape)(recursive=False)
    elif path[0] is None and layout.is_list:
        layout._touch_data(recursive=False)
        _touch(layout.content, path[1:], data)
    elif path[0] is not None and layout.is_record and path[0] in layout.fields:
        _touch(layout.content(path[0]), path[1:], data)
    else:  # of another structure than the nominal value: everything may be needed
        layout._touch_data(recursive=True)
