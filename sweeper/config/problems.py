"""From pydantic's findings to one line a person can act on."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from sweeper.config.yaml_reader import Document, Path_


def explain(
    error: ValidationError, model: type[BaseModel], document: Document, origin: Path_ = ()
) -> str:
    """File, line, key, what is wrong and what is allowed, for the first finding; how many more."""
    findings = error.errors(include_url=False)
    first = findings[0]
    keys = _yaml_keys(first["loc"], document, origin)
    shared = ("trial", *keys[len(origin) :])
    if keys not in document.lines and shared in document.lines:
        keys = shared  # the block takes the value from the part that all blocks share
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return f"{document.where(keys)}: {_sentence(first, model)}{more}"


def nearest(word: str, known: list[str]) -> str:
    """` (did you mean 'x'?)`, or nothing when no known word is near."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _yaml_keys(loc: tuple[int | str, ...], document: Document, origin: Path_) -> Path_:
    """The location without the tags that pydantic adds for a union's member."""
    keys: list[int | str] = []
    position: Any = document.value
    for part in origin:
        position = _step(position, part)
    for i, part in enumerate(loc):
        is_last = i == len(loc) - 1
        following = _step(position, part)
        is_tag = (
            isinstance(position, dict) and position.get("name") == part and part not in position
        )
        if is_tag and not is_last:
            continue
        keys.append(part)
        position = following
    return (*origin, *keys)


def _step(position: Any, part: int | str) -> Any:
    if isinstance(position, dict):
        if isinstance(part, str) and part in position:
            return position[part]
        return next(iter(position.values()), None) if "grid" in position else None
    if isinstance(position, (list, tuple)) and isinstance(part, int) and part < len(position):
        return position[part]
    return None


def _sentence(finding: ErrorDetails, model: type[BaseModel]) -> str:
    kind, value, context = finding["type"], finding.get("input"), finding.get("ctx", {})
    key = str(finding["loc"][-1]) if finding["loc"] else ""
    if kind == "extra_forbidden":
        known = _known_keys(model, finding["loc"][:-1])
        return f"unknown key{nearest(key, known)}; allowed here: {', '.join(known)}"
    if kind == "missing":
        return "is missing; add it"
    if kind in ("literal_error", "enum"):
        expected = str(context.get("expected", ""))
        known = [word.strip("' ") for word in expected.replace(" or ", ",").split(",")]
        return f"is {value!r}{nearest(str(value), known)}, expected {expected}"
    if kind == "union_tag_invalid":
        tags = str(context.get("expected_tags", ""))
        known = [word.strip("' ") for word in tags.split(",")]
        tag = str(context.get("tag", value))
        return f"name is {tag!r}{nearest(tag, known)}, expected {tags}"
    if kind == "union_tag_not_found":
        return "has no 'name'; add the method's name, such as 'name: desam'"
    message = finding["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"is {value!r}, expected {message[:1].lower()}{message[1:]}"


def _known_keys(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The field names of the model that stands at a location; a union is entered by its tag."""
    candidates = [model]
    for part in loc:
        tagged = [m for m in candidates if _tag(m) == part]
        if tagged:
            candidates = tagged
            continue
        fields = [m.model_fields[str(part)] for m in candidates if str(part) in m.model_fields]
        if fields:
            candidates = members(fields[0].annotation)
    return sorted({name for candidate in candidates for name in candidate.model_fields})


def _tag(model: type[BaseModel]) -> Any:
    """The name by which a union tells this member from the others, or None."""
    field = model.model_fields.get("name")
    return None if field is None else next(iter(get_args(field.annotation)), None)


def members(annotation: Any) -> list[type[BaseModel]]:
    """The models named in an annotation, unions, tuples and annotated types opened."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for part in get_args(annotation) for m in members(part)]
