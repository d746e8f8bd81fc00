"""Assembling events from buffers: `ak.from_buffers` for the forms of NanoEvents, at less cost.

A collection has all its fields, most of which an analysis never looks at (trigger paths come by the
hundred); what is done for each of them is what building events costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import awkward as ak
import numpy as np
from awkward._backends.numpy import NumpyBackend
from awkward._nplikes.virtual import VirtualNDArray

from lazyana.data.buffers import buffer_key

_BACKEND = NumpyBackend.instance()


def assemble(form: ak.forms.Form, length: int, buffers: Mapping[str, Any]) -> ak.contents.Content:
    """The layout that `ak.from_buffers` makes.

    Parameters
    ----------
    form
        Form with keys.
    length
        Number of entries.
    buffers
        By key (see `buffer_key`) an array, or a function that returns one.

    Returns
    -------
    Content
        Of that form and length; arrays that are functions are called when they are looked at.
    """
    if isinstance(form, ak.forms.RecordForm):
        return ak.contents.RecordArray(
            [assemble(content, length, buffers) for content in form.contents],
            form.fields,
            length,
            parameters=form.parameters,
            backend=_BACKEND,
        )
    if isinstance(form, ak.forms.NumpyForm) and not form.inner_shape:
        return _numbers(form, length, buffers)
    if isinstance(form, ak.forms.ListOffsetForm) and form.offsets == "i64":
        offsets = buffers[buffer_key(form.form_key, "offsets")]
        if isinstance(offsets, np.ndarray) and len(offsets) == length + 1:
            return ak.contents.ListOffsetArray(
                ak.index.Index64(offsets),
                assemble(form.content, int(offsets[-1]), buffers),
                parameters=form.parameters,
            )
    # Whatever else: lists whose lengths are not known before they are looked at, options, ….
    made: ak.contents.Content = ak.from_buffers(
        form, length, buffers, buffer_key=buffer_key, highlevel=False
    )
    return made


def _numbers(form: ak.forms.NumpyForm, length: int, buffers: Mapping[str, Any]) -> Any:
    key = buffer_key(form.form_key, "data")
    found = buffers[key]
    dtype = ak.types.numpytype.primitive_to_dtype(form.primitive)
    if callable(found):

        def generate() -> Any:
            return np.asarray(found()).view(dtype)[:length]

        data = VirtualNDArray(_BACKEND.nplike, (length,), dtype, generate, buffer_key=key)
    else:
        data = found.view(dtype)[:length]
        if len(data) < length:
            msg = f"buffer {key!r} has {len(data)} numbers, {length} are needed"
            raise ValueError(msg)
    return ak.contents.NumpyArray(data, parameters=form.parameters, backend=_BACKEND)
