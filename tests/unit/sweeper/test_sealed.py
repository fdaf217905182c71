from __future__ import annotations

import json
import math

import pytest

from sweeper.sealed import is_sealed, seal, unseal

VALUES = {"dice": 0.8125, "case": "A-01", "parts": {"b": [1, 2.5], "a": None}, "name": "Zürich"}


def test_what_was_sealed_is_read_and_is_json_for_any_reader() -> None:
    text = seal(VALUES)
    assert unseal(text) == VALUES
    assert unseal(text + "\n") == VALUES
    assert json.loads(text) == {**VALUES, "checksum": json.loads(text)["checksum"]}
    assert is_sealed(text)


def test_an_undefined_number_is_sealed_too() -> None:
    assert math.isnan(unseal(seal({"hd95_mm": math.nan}))["hd95_mm"])


def test_no_changed_bit_of_a_sealed_text_is_read() -> None:
    content = seal(VALUES).encode()
    for position in range(len(content)):
        for bit in range(8):
            changed = bytearray(content)
            changed[position] ^= 1 << bit
            with pytest.raises(ValueError, match=r"."):
                unseal(bytes(changed).decode())


def test_a_text_of_an_earlier_version_has_no_checksum_and_is_read() -> None:
    assert unseal('{"dice": 0.5}') == {"dice": 0.5}
    assert unseal("[1, 2]") == [1, 2]
    assert not is_sealed('{"dice": 0.5}')


def test_a_value_changed_by_hand_is_refused() -> None:
    with pytest.raises(ValueError, match="does not match its checksum"):
        unseal(seal(VALUES).replace("0.8125", "0.9125"))
