"""What tools answer, as tasks declare it."""

from __future__ import annotations

import pytest

from providers.errors import InputError
from providers.messages import JSON
from sharding.tasks.task import Task
from sharding.tasks.tool_results import UNFORESEEN, declared_results

ASKED = ({"role": "user", "content": "?"},)


def declared(results: JSON) -> Task:
    return Task("t", ASKED, metadata={"tool_results": results})


def test_a_result_may_depend_on_the_arguments() -> None:
    cases: JSON = [{"arguments": {"a": 1, "b": 2}, "result": "three"}, {"arguments": {}, "result": None}]
    found = declared_results(declared({"add": {"cases": cases}, "say": {"cases": cases, "result": "else"}}))
    assert found["add"].result_of({"b": 2, "a": 1}) == "three"
    assert found["add"].result_of({}) is None
    assert found["add"].result_of({"a": 3}) == UNFORESEEN
    assert found["say"].result_of({"a": 3}) == "else"


def test_a_task_may_declare_nothing() -> None:
    assert declared_results(Task("t", ASKED)) == {}


@pytest.mark.parametrize(
    ("results", "reason"),
    [
        ([], "metadata.tool_results must map tools to their results"),
        ({"a": "sunny"}, "metadata.tool_results.a must have a result, cases or a function"),
        ({"a": {}}, "metadata.tool_results.a must have a result, cases or a function"),
        ({"a": {"reslt": 1}}, 'metadata.tool_results.a: unknown key "reslt"; did you mean "result"'),
        ({"a": {"function": "mine"}}, "metadata.tool_results.a.function must be module:function"),
        ({"a": {"function": "m:f", "result": 1}}, "metadata.tool_results.a.function must be module:function, without"),
        ({"a": {"cases": {}}}, "metadata.tool_results.a.cases must be a list"),
        ({"a": {"cases": [{"result": 1}]}}, "every case needs arguments, an object, and a result"),
        ({"a": {"cases": [{"arguments": {}}]}}, "every case needs arguments, an object, and a result"),
    ],
)
def test_what_cannot_be_meant_is_refused(results: JSON, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        declared_results(declared(results))
    assert str(caught.value).startswith(reason) or reason in str(caught.value)
