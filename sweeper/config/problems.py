"""Turns pydantic's errors into one line that says what to do."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

from sweeper.config.search import SEARCH_KEYS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from sweeper.config.yaml_reader import Document, Path_


def explain(
    error: ValidationError, model: type[BaseModel], document: Document, origin: Path_ = ()
) -> str:
    """File, line, key, what is wrong and what is allowed, for the first error; how many more.

    Unknown keys come first: a misspelt required key causes a second error, because it is missing.
    """
    errors = sorted(
        error.errors(include_url=False), key=lambda details: details["type"] != "extra_forbidden"
    )
    first = errors[0]
    keys = (*origin, *_without_tags(first["loc"], model))
    if first["type"] in ("union_tag_invalid", "union_tag_not_found"):
        keys = (*keys, "name")
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{document.where(keys)}: {_sentence(first, model)}{more}"


def matching_key(key: str, known: Sequence[str]) -> str:
    """The full name of a trial's key that is given in full or by its last part.

    Raises:
        ValueError: No key, or more than one, has that name; the text continues `KEY ...`.
    """
    matches = [name for name in known if name == key] or [
        name for name in known if name.endswith(f".{key}")
    ]
    if len(matches) == 1:
        return matches[0]
    problem = f"may be {' or '.join(matches)}" if matches else "is not a key of any training"
    raise ValueError(f"{problem}{nearest(key, list(known))}")


def nearest(word: str, known: list[str]) -> str:
    """` (did you mean 'x'?)`, or empty if no known word is similar."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _without_tags(loc: tuple[int | str, ...], model: type[BaseModel]) -> Path_:
    """The location without the tags that pydantic adds for members of a union."""
    keys: list[int | str] = []
    candidates = [model]
    for part in loc:
        if len(candidates) > 1 and any(_tag(m) == part for m in candidates):
            candidates = [m for m in candidates if _tag(m) == part]
            continue
        keys.append(part)
        fields = [m.model_fields[str(part)] for m in candidates if str(part) in m.model_fields]
        candidates = members(fields[0].annotation) if fields else candidates
    return tuple(keys)


_PBT_IS_GONE = "population based training is gone"
_GONE_KEYS = {
    ("search", "interval"): f"{_PBT_IS_GONE}, and this key with it; remove the line",
    ("training", "changes"): "values cannot change during a training any more; write constant"
    " values, and lr_decay, poly_power or constant_epochs for the learning rate",
}
"""By parent and key: what former versions allowed, and what to write instead."""
_GONE_VALUES = {
    ("scheduler", "pbt"): f"is 'pbt', and {_PBT_IS_GONE}; write 'scheduler: asha' (or hyperband,"
    " median) with any algorithm",
}

_PLAIN_WORDS = (
    ("a valid dictionary or object to extract fields from", "a mapping, such as {name: desam}"),
    ("a valid integer, unable to parse string as an integer", "a whole number"),
    ("a valid integer, got a number with a fractional part", "a whole number"),
    ("a valid integer", "a whole number"),
    ("a valid number, unable to parse string as a number", "a number"),
    ("a valid number", "a number"),
    ("a valid tuple", "a list, such as [0, 1]"),
    ("a valid string", "text"),
    ("a valid boolean", "true or false"),
    ("greater than", "a number greater than"),
    ("less than", "a number less than"),
)
"""Pydantic's wording of an expected value, and the same in plain words for YAML."""


def _expected(details: ErrorDetails) -> str:
    message = details["msg"].removeprefix("Input should be ")
    if details["type"] == "string_pattern_mismatch":
        return "letters, digits, dots, dashes and underscores, without spaces"
    if "valid dictionary" in message and "extract fields" not in message:
        return "a mapping of keys"
    for wording, plain in _PLAIN_WORDS:
        if message.startswith(wording):
            return plain + message[len(wording) :]
    return message[:1].lower() + message[1:]


def _sentence(details: ErrorDetails, model: type[BaseModel]) -> str:
    kind, value, context = details["type"], details.get("input"), details.get("ctx", {})
    key = str(details["loc"][-1]) if details["loc"] else ""
    if kind == "extra_forbidden":
        gone = _GONE_KEYS.get((str(details["loc"][-2]) if details["loc"][1:] else "", key))
        if gone is not None:
            return gone
        known = _known_keys(model, details["loc"][:-1])
        hint = nearest(key, known) or _elsewhere(key, model, details["loc"][:-1])
        return f"unknown key{hint}; allowed here: {', '.join(known)}"
    if kind == "missing":
        return "is missing; add it"
    if kind == "value_error":
        return details["msg"].removeprefix("Value error, ")
    if kind in ("literal_error", "enum"):
        expected = str(context.get("expected", ""))
        known = [word.strip("' ") for word in expected.replace(" or ", ",").split(",")]
        if (key, value) in _GONE_VALUES:
            return _GONE_VALUES[key, value]
        return f"is {value!r}{nearest(str(value), known)}, expected {expected}"
    if kind == "union_tag_invalid":
        tags = str(context.get("expected_tags", ""))
        known = [word.strip("' ") for word in tags.split(",")]
        tag = str(context.get("tag", value))
        return f"is {tag!r}{nearest(tag, known)}, expected {tags}"
    if kind == "union_tag_not_found":
        return "is missing; add the method's name, such as 'name: desam'"
    return f"is {'empty' if value is None else repr(value)}, expected {_expected(details)}" + (
        _search_hint(value)
    )


def _search_hint(value: Any) -> str:
    """How to write a searched value; empty unless the value is a list or an unknown search."""
    if isinstance(value, list):
        return "; to try several values write {grid: [...]}"
    if isinstance(value, dict) and value:
        unknown = next((str(k) for k in value if k not in SEARCH_KEYS), None)
        if unknown is None:
            return f"; a searched value has one key, but this has {len(value)}"
        close = nearest(unknown, list(SEARCH_KEYS))
        return f", or a search{close}: one of {', '.join(SEARCH_KEYS)}"
    return ""


def _elsewhere(key: str, model: type[BaseModel], loc: tuple[int | str, ...]) -> str:
    """Hint that the key exists elsewhere: below another key, or in another method."""
    candidates = _candidates(model, loc)
    for candidate in candidates:
        for name, field in candidate.model_fields.items():
            nested = members(field.annotation)
            if any(key in member.model_fields for member in nested):
                where = f"'{name}.{key}'"
                if len(nested) > 1:
                    owners = [str(_tag(m)) for m in nested if key in m.model_fields]
                    where += f" of {' and '.join(owners)}"
                return f" (did you mean {where}?)"
    owners = [str(_tag(m)) for m in _siblings(model, loc) if key in m.model_fields]
    return f" ({key!r} is an option of {', '.join(owners)})" if owners else ""


def _siblings(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[type[BaseModel]]:
    """All members of the union that the location's last tag selects from."""
    return _candidates(model, loc[:-1]) if loc else []


def _known_keys(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The keys that are allowed at a location; a tag selects the member of a union."""
    return sorted({name for m in _candidates(model, loc) for name in m.model_fields})


def _candidates(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[type[BaseModel]]:
    """The models that may describe a location."""
    candidates = [model]
    for part in loc:
        tagged = [m for m in candidates if _tag(m) == part]
        if tagged:
            candidates = tagged
            continue
        fields = [m.model_fields[str(part)] for m in candidates if str(part) in m.model_fields]
        if fields:
            candidates = members(fields[0].annotation)
    return candidates


def _tag(model: type[BaseModel]) -> Any:
    """The value of `name` that selects this member of a union, or None."""
    field = model.model_fields.get("name")
    return None if field is None else next(iter(get_args(field.annotation)), None)


def members(annotation: Any) -> list[type[BaseModel]]:
    """The models in an annotation, also inside unions, tuples and annotated types."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for part in get_args(annotation) for m in members(part)]
