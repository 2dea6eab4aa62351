"""The section `tools`: its protocol, and what results belong to."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from orchestrator.config.sections.tool_settings import TextToolsConfig, ToolsConfig

USUAL = '{"max_turns":10,"failure_kinds":["error","timeout","empty","malformed","stale"]}'


def test_what_results_belong_to_is_as_before_where_the_new_sections_are_not_used() -> None:
    assert ToolsConfig().as_written() == USUAL
    assert ToolsConfig.model_validate({"text": {"call": "tool_call"}, "reliability": {}}).as_written() == USUAL
    assert '"call":"do"' in ToolsConfig.model_validate({"text": {"call": "do"}}).as_written()
    assert '"least":0.1' in ToolsConfig.model_validate({"reliability": {"least": 0.1}}).as_written()


def test_a_tag_is_written_with_or_without_its_brackets() -> None:
    assert TextToolsConfig(call="<do>") == TextToolsConfig(call="do")


@pytest.mark.parametrize("tag", ["", "<>", "<do></do>", "a\nb"])
def test_what_is_no_tag_is_refused(tag: str) -> None:
    with pytest.raises(ValidationError, match="is no tag; write its name, such as tool_call"):
        TextToolsConfig(call=tag)
