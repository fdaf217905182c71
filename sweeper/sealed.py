"""JSON text that carries a checksum of itself, so that a changed byte is found when it is read.

The checksum is the last key of the outermost object, on a line of its own. It covers every byte
before it, so the text is checked as it lies on the disk. Any JSON reader can read the file.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

CHECKSUM = "checksum"
_LAST_LINE = re.compile(r',\n "[^"\n]*": "sha256:([^"\n]*)"\n\}\n?\Z')


def seal(values: dict[str, Any]) -> str:
    """The values as indented JSON with a checksum; a key `checksum` of theirs is replaced.

    Args:
        values: At least one key; every value can be written as JSON.
    """
    plain = {key: value for key, value in values.items() if key != CHECKSUM}
    body = json.dumps(plain, indent=1, sort_keys=True).removesuffix("\n}")
    return f'{body},\n "{CHECKSUM}": "sha256:{_digest(body)}"\n}}'


def unseal(text: str) -> Any:
    """The values in a text, without their checksum; a text of an earlier version has none.

    Raises:
        ValueError: It is not JSON, or it was changed after it was sealed.
    """
    values = json.loads(text)
    last = _LAST_LINE.search(text)
    if last is None and not (isinstance(values, dict) and CHECKSUM in values):
        return values
    if last is None or CHECKSUM not in values or last[1] != _digest(text[: last.start()]):
        raise ValueError("its content does not match its checksum")
    del values[CHECKSUM]
    return values


def is_sealed(text: str) -> bool:
    """True if the text has a checksum, right or wrong."""
    return _LAST_LINE.search(text) is not None


def digest_of(values: Any) -> str:
    """SHA-256 over values as JSON: what a file records about values that it holds elsewhere."""
    return _digest(json.dumps(values, sort_keys=True))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
