"""From pydantic's findings to one line a person can act on."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

from sweeper.config.search import SEARCH_KEYS

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from sweeper.config.yaml_reader import Document, Path_


def explain(
    error: ValidationError, model: type[BaseModel], document: Document, origin: Path_ = ()
) -> str:
    """File, line, key, what is wrong and what is allowed, for the first finding; how many more.

    Unknown keys come first: a required key that is misspelt is missing too.
    """
    findings = sorted(
        error.errors(include_url=False), key=lambda found: found["type"] != "extra_forbidden"
    )
    first = findings[0]
    keys = (*origin, *_without_tags(first["loc"], model))
    if first["type"] in ("union_tag_invalid", "union_tag_not_found"):
        keys = (*keys, "name")
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return f"{document.where(keys)}: {_sentence(first, model)}{more}"


def nearest(word: str, known: list[str]) -> str:
    """` (did you mean 'x'?)`, or nothing when no known word is near."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _without_tags(loc: tuple[int | str, ...], model: type[BaseModel]) -> Path_:
    """The location without the tags that pydantic adds for a union's member."""
    keys: list[int | str] = []
    candidates = [model]
    for part in loc:
        if len(candidates) > 1 and any(_tag(one) == part for one in candidates):
            candidates = [one for one in candidates if _tag(one) == part]
            continue
        keys.append(part)
        fields = [
            one.model_fields[str(part)] for one in candidates if str(part) in one.model_fields
        ]
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

_WORDS = (
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
"""What pydantic expects, in the words of a person who writes YAML."""


def _expected(finding: ErrorDetails) -> str:
    message = finding["msg"].removeprefix("Input should be ")
    if finding["type"] == "string_pattern_mismatch":
        return "letters, digits, dots, dashes and underscores, without spaces"
    if "valid dictionary" in message and "extract fields" not in message:
        return "a mapping of keys"
    for said, meant in _WORDS:
        if message.startswith(said):
            return meant + message[len(said) :]
    return message[:1].lower() + message[1:]


def _sentence(finding: ErrorDetails, model: type[BaseModel]) -> str:
    kind, value, context = finding["type"], finding.get("input"), finding.get("ctx", {})
    key = str(finding["loc"][-1]) if finding["loc"] else ""
    if kind == "extra_forbidden":
        gone = _GONE_KEYS.get((str(finding["loc"][-2]) if finding["loc"][1:] else "", key))
        if gone is not None:
            return gone
        known = _known_keys(model, finding["loc"][:-1])
        hint = nearest(key, known) or _elsewhere(key, model, finding["loc"][:-1])
        return f"unknown key{hint}; allowed here: {', '.join(known)}"
    if kind == "missing":
        return "is missing; add it"
    if kind == "value_error":
        return finding["msg"].removeprefix("Value error, ")
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
    return f"is {'empty' if value is None else repr(value)}, expected {_expected(finding)}" + (
        _search_hint(value)
    )


def _search_hint(value: Any) -> str:
    """How to write several values, for one who wrote a list or an unknown search."""
    if isinstance(value, list):
        return "; to try several values write {grid: [...]}"
    if isinstance(value, dict) and value:
        unknown = next((str(k) for k in value if k not in SEARCH_KEYS), None)
        if unknown is None:
            return f"; a searched value has one key, this has {len(value)}"
        close = nearest(unknown, list(SEARCH_KEYS))
        return f", or a search{close}: one of {', '.join(SEARCH_KEYS)}"
    return ""


def _elsewhere(key: str, model: type[BaseModel], loc: tuple[int | str, ...]) -> str:
    """Where else a key exists: below another one, or in another method."""
    candidates = _candidates(model, loc)
    for one in candidates:
        for name, field in one.model_fields.items():
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
    """The other members of the union that a location has entered by a tag."""
    return _candidates(model, loc[:-1]) if loc else []


def _known_keys(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The field names of the model that stands at a location; a union is entered by its tag."""
    return sorted({name for one in _candidates(model, loc) for name in one.model_fields})


def _candidates(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[type[BaseModel]]:
    """The models that may stand at a location."""
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
    """The name by which a union tells this member from the others, or None."""
    field = model.model_fields.get("name")
    return None if field is None else next(iter(get_args(field.annotation)), None)


def members(annotation: Any) -> list[type[BaseModel]]:
    """The models named in an annotation, unions, tuples and annotated types opened."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for part in get_args(annotation) for m in members(part)]
