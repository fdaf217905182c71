"""The table of precisions agrees with NumPy's types, and conversions only make stores smaller."""

from __future__ import annotations

import numpy as np
import pytest

from desam_model.encoder.precision import DEFAULT_PRECISION, PRECISIONS


@pytest.mark.parametrize("name", PRECISIONS)
def test_a_precision_has_the_name_and_size_of_numpys_type(name):
    precision = PRECISIONS[name]
    assert precision.name == name
    assert np.dtype(name).itemsize == precision.value_bytes


@pytest.mark.parametrize("name", PRECISIONS)
def test_a_store_is_converted_to_fewer_bytes_only(name):
    precision = PRECISIONS[name]
    for smaller in precision.smaller:
        assert PRECISIONS[smaller].value_bytes < precision.value_bytes


def test_only_integers_have_scales():
    integers = {name for name in PRECISIONS if np.issubdtype(np.dtype(name), np.integer)}
    assert {name for name, precision in PRECISIONS.items() if precision.has_scales} == integers


def test_the_default_is_half_precision():
    assert DEFAULT_PRECISION == "float16"
