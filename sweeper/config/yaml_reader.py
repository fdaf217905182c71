"""The only YAML reader and writer: plain values, and the line number of each.

YAML 1.1 reads `1e-4` as text, `NO` as false and `010` as eight; here numbers are numbers, only
`true` and `false` are booleans, and a duplicate key is an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from sweeper.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

Path_ = tuple[str | int, ...]
"""Keys and list positions from the root of a document to a value."""


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed YAML file.

    Attributes:
        path: The file, or None for a document from memory.
        value: Nested dicts, lists and scalars.
        lines: `FILE:LINE` of every key and list item, by its path.
    """

    path: Path | None
    value: dict[str, Any]
    lines: Mapping[Path_, str]

    def where(self, keys: Path_) -> str:
        """`FILE:LINE: a.b.c` for messages; the line of the nearest known ancestor.

        A value that is missing in a toggle or a block is looked up in the trial that they override.
        """
        candidates = list(self._candidates(keys))
        nearest = min(candidates, key=lambda keys: len(keys) - self._known_depth(keys))
        dotted = ".".join(str(key) for key in nearest)
        line = self.lines[nearest[: self._known_depth(nearest)]]
        return f"{line}: {dotted}" if dotted else line

    def _known_depth(self, keys: Path_) -> int:
        """Length of the longest prefix of the keys that has a line."""
        return next(end for end in range(len(keys), -1, -1) if keys[:end] in self.lines)

    def _candidates(self, keys: Path_) -> Iterator[Path_]:
        """Paths at which the value of a trial's key may be written; the highest priority first."""
        yield keys
        rest = keys
        if "toggles" in (keys[0:1] + keys[2:3]) and "options" in keys[:4]:
            head = keys[: keys.index("options") + 1]
            rest = ("trial", *keys[len(head) + 1 :])
            yield from ((*head, name, *rest[1:]) for name in self._at(head))
            if head[0] == "blocks":
                yield (*head[:2], *rest)
        elif keys[:1] == ("blocks",) and keys[2:3] == ("trial",):
            rest = keys[2:]
        yield rest

    def _at(self, keys: Path_) -> Any:
        """The value at a path; empty if there is none."""
        value: Any = self.value
        for key in keys:
            try:
                value = value[key]
            except (KeyError, IndexError, TypeError):
                return ()
        return value

    def holds(self, keys: Path_, value: Any) -> bool:
        """True if the path has this value, alone or in a searched list."""
        written = self._at(keys)
        if isinstance(written, dict) and len(written) == 1:
            written = next(iter(written.values()))
        return written == value or (isinstance(written, list) and value in written)

    def line_of(self, keys: Path_, value: Any) -> str:
        """As `where`, but with the line of the value's item in a searched list."""
        written = self._at(keys)
        if isinstance(written, dict) and len(written) == 1:
            kind, values = next(iter(written.items()))
            if isinstance(values, list) and value in values:
                line = self.lines.get((*keys, kind, values.index(value)))
                if line is not None:
                    return f"{line}: {'.'.join(str(key) for key in keys)}"
        return self.where(keys)


_MOST_VALUES = 100_000
"""A few lines of aliases of aliases could stand for more values than memory holds."""


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core types only."""


_Loader.yaml_implicit_resolvers = {}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(true|false)$"), list("tf"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(null|~|)$"), ["n", "~", ""])
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?$|^[-+]?\.inf$|^\.nan$"
    ),
    list("-+.0123456789"),
)
_Loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value))
_Loader.add_constructor(
    "tag:yaml.org,2002:float",
    lambda _, node: float(node.value.replace(".inf", "inf").replace(".nan", "nan")),
)


def read_yaml(path: Path) -> Document:
    """The document in a file.

    Raises:
        ConfigError: The file is missing, unreadable, not YAML, or not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as err:
        raise ConfigError(
            f"{path}: no such file; the included search spaces are in search_spaces/"
        ) from err
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"{path}: cannot be read as text ({err}); give a YAML file") from err
    return parse_yaml(text, path)


def parse_yaml(text: str, path: Path | None = None) -> Document:
    """The document in a text; see `read_yaml`."""
    name = str(path) if path else "<memory>"
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        lines: dict[Path_, str] = {}
        value = None if node is None else _construct(loader, node, (), lines, name)
    except RecursionError as err:
        raise ConfigError(
            f"{name}: is nested too deeply, or refers to itself; a search space has few levels"
        ) from err
    except (ValueError, OverflowError) as err:  # `!!int x`, or more digits than Python reads
        raise ConfigError(f"{name}: a value cannot be read ({err}); correct it") from err
    except yaml.YAMLError as err:
        mark = getattr(err, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(err, "problem", None) or str(err).splitlines()[0]
        raise ConfigError(f"{name}{line}: not valid YAML: {problem}") from err
    finally:
        if loader is not None:
            loader.dispose()
    if not isinstance(value, dict):
        raise ConfigError(
            f"{name}: {'is empty' if value is None else 'contains a ' + type(value).__name__},"
            " expected a mapping of keys such as 'name:' and 'trial:'; see docs/search-spaces.md"
        )
    return Document(path=path, value=value, lines=lines)


def parse_value(text: str) -> Any:
    """One value as YAML reads it, for `--set key=value`."""
    document = parse_yaml(f"value: {text}")
    return document.value["value"]


def yaml_text(value: Mapping[str, Any]) -> str:
    """Plain values as a text that `parse_yaml` reads as the same values.

    Texts that YAML 1.2 takes for numbers, such as `1e-4`, are quoted; YAML 1.1 would not need it.
    """
    return yaml.dump(dict(value), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Dumper(yaml.SafeDumper):
    """Resolves plain texts as `_Loader` does, so that it quotes those that would be numbers."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers


def _construct(
    loader: _Loader, node: yaml.Node, path: Path_, lines: dict[Path_, str], name: str
) -> Any:
    lines.setdefault(path, f"{name}:{node.start_mark.line + 1}")
    if len(lines) > _MOST_VALUES:
        raise ConfigError(
            f"{name}: has more than {_MOST_VALUES} values, with those that aliases (*name) repeat;"
            " split the search space"
        )
    if isinstance(node, yaml.MappingNode):
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(loader.construct_object(key_node))
            if key in result:
                line = key_node.start_mark.line + 1
                raise ConfigError(f"{name}:{line}: duplicate key {key!r}; remove one of the two")
            lines[(*path, key)] = f"{name}:{key_node.start_mark.line + 1}"
            result[key] = _construct(loader, value_node, (*path, key), lines, name)
        return result
    if isinstance(node, yaml.SequenceNode):
        return [
            _construct(loader, item, (*path, i), lines, name) for i, item in enumerate(node.value)
        ]
    return loader.construct_object(node)
