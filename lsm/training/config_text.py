"""The text of a config: YAML without code, in measure, and the entries that change what a file says."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Hashable, Iterable
from typing import Any

import yaml

from lsm.errors import OptionError, one_line

MOST_CHARACTERS, MOST_VALUES = 100_000, 20_000
"""Of a config; BasicSR's have a few thousand characters."""


class _Loader(yaml.SafeLoader):
    """YAML without code, with `2e-4` as a number (PyYAML wants `2.0e-4`) and only words for keys, each once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        key, count = keys.most_common(1)[0] if keys else ("", 0)
        if count > 1:
            raise yaml.constructor.ConstructorError(None, None, f"key {key!r} twice", node.start_mark)
        content = super().construct_mapping(node, deep)
        for each in content:
            if not isinstance(each, str):
                words = f"key {each!r} is not a word; in quotes it would be one"
                raise yaml.constructor.ConstructorError(None, None, words, node.start_mark)
        return content


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def parse_yaml(text: str, source: str) -> Any:
    """Parse YAML text.

    Raises:
        OptionError: If it is not valid YAML, where the line is named; or if it is larger than any config, written
            out or by aliases of aliases.
    """
    if len(text) > MOST_CHARACTERS:
        raise OptionError(f"{source}: more than {MOST_CHARACTERS:,} characters, which no config has.")
    loader = None
    try:
        loader = _Loader(text)  # a SafeLoader
        node = loader.get_single_node()
        if node is None:
            return None
        if _size(node, {}) > MOST_VALUES:
            raise OptionError(f"{source}: its aliases write out to more than {MOST_VALUES:,} values.")
        return loader.construct_document(node)
    except RecursionError as error:
        raise OptionError(f"{source}: nested too deeply, or within itself.") from error
    # The others come of dates, numbers and characters that cannot be.
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise OptionError(f"{source}: not valid YAML: {one_line(error, 500)}") from error
    finally:
        if loader is not None:
            loader.dispose()


def _size(node: yaml.Node, known: dict[int, float]) -> float:
    """Count the values that a node stands for once its aliases are written out; infinite within itself."""
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) not in known:
        known[id(node)] = math.inf
        parts = [part for item in node.value for part in (item if isinstance(item, tuple) else (item,))]
        known[id(node)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(node)]


def force(options: dict[str, Any], entries: Iterable[str]) -> None:
    """Apply entries such as `train:optim_g:lr=1e-4`; the values are YAML, never code.

    Args:
        options: The config's content, changed in place; missing sections are made, and checked later on.
        entries: The entries.

    Raises:
        OptionError: If an entry has no `=`, or goes through a value that is no section.
    """
    for entry in entries:
        keys, equals, text = entry.partition("=")
        if not equals or not keys.strip():
            raise OptionError(f"The entry {entry!r} of `force_yml` must be key:subkey=value.")
        *sections, last = [key.strip() for key in keys.split(":")]
        target: Any = options
        for section in sections:
            if target.get(section) is None:
                target[section] = {}
            target = target[section]
            if not isinstance(target, dict):
                raise OptionError(f"The entry {entry!r} of `force_yml`: {section} is a value, not a section.")
        target[last] = _value(text.strip(), f"The entry {entry!r} of `force_yml`")


def _value(text: str, source: str) -> Any:
    """Read a value; `{}x4` is a template of file names, where YAML sees a mapping and something after it."""
    return text if re.fullmatch(r"\{\}[^\s{},:\[\]]+", text) else parse_yaml(text, source)
