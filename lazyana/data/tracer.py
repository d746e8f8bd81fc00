"""Events without data, made from their form at once.

awkward makes arrays of no events first, and turns these into arrays without data: for a thousand
branches that takes as long as recording a whole analysis.
"""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
from awkward._nplikes.shape import unknown_length
from awkward._nplikes.typetracer import TypeTracer, TypeTracerReport
from awkward.types.numpytype import primitive_to_dtype
from awkward.typetracer import typetracer_with_report

from lazyana.data.buffers import buffer_key


def tracer(form: ak.forms.RecordForm) -> tuple[ak.contents.Content, Any]:
    """An array without data of some form.

    Parameters
    ----------
    form
        The form, with form keys.

    Returns
    -------
    layout
        The array, of unknown length.
    report
        Notes the buffers that are touched, named as by `buffer_key`.
    """
    maker = _Maker()
    layout = maker.layout(form)
    if layout is not None:
        return layout, maker.report()
    layout, report = typetracer_with_report(form, buffer_key=buffer_key)
    return layout, report


class _Maker:
    """Makes arrays without data."""

    def __init__(self) -> None:
        self._numbers = TypeTracer.instance()
        self._buffers: dict[str, Any] = {}

    def layout(self, form: Any) -> Any:
        """An array of a form; None if there is something in it that events do not have."""
        parameters = form.parameters or None
        if isinstance(form, ak.forms.NumpyForm) and not form.inner_shape:
            values = self._empty(primitive_to_dtype(form.primitive))
            numbers = ak.contents.NumpyArray(values, parameters=parameters)
            self._buffers[buffer_key(form.form_key, "data")] = numbers.data
            return numbers
        if isinstance(form, ak.forms.RecordForm):
            contents = [self.layout(content) for content in form.contents]
            if form.is_tuple or not contents or any(one is None for one in contents):
                return None
            return ak.contents.RecordArray(
                contents, form.fields, unknown_length, parameters=parameters
            )
        if isinstance(form, ak.forms.ListOffsetForm) and form.offsets == "i64":
            content = self.layout(form.content)
            if content is None:
                return None
            offsets = ak.index.Index64(self._empty(np.dtype(np.int64)))
            lists = ak.contents.ListOffsetArray(offsets, content, parameters=parameters)
            self._buffers[buffer_key(form.form_key, "offsets")] = lists.offsets.data
            return lists
        return None

    def _empty(self, dtype: np.dtype[Any]) -> Any:
        return self._numbers.empty((unknown_length,), dtype=dtype)

    def report(self) -> Any:
        """The report that all arrays made so far tell what is touched of them from now on."""
        report = TypeTracerReport()
        report.set_labels(self._buffers)
        for key, buffer in self._buffers.items():
            buffer.form_key, buffer.report = key, report
        return report
