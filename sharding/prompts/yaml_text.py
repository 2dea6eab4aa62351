"""YAML as people write it: dates stay text, and a key that stands twice is refused, because one of the two would be lost."""

from __future__ import annotations

from typing import Any

import yaml

MERGE = "tag:yaml.org,2002:merge"
"""The tag of `<<`, whose keys may be overridden."""


class StrictLoader(yaml.SafeLoader):
    """Dates stay text: `api_version: 2024-10-21` needs no quotes."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping. Raises MarkedYAMLError where a key stands twice."""
        seen: dict[tuple[str, str], int] = {}
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == MERGE:
                continue
            key, line = (key_node.tag, key_node.value), key_node.start_mark.line + 1
            if key in seen:
                problem = f"the key {key_node.value!r} stands twice, first in line {seen[key]}; rename or remove one"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
            seen[key] = line
        return super().construct_mapping(node, deep)


StrictLoader.yaml_implicit_resolvers = {
    sign: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for sign, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load_yaml(text: str) -> Any:
    """Parse a document. Raises yaml.YAMLError, ValueError or RecursionError."""
    return yaml.load(text, Loader=StrictLoader)
