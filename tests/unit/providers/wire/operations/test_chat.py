from __future__ import annotations

import orjson
import pytest

from providers.credentials import ApiKey
from providers.errors import (
    AuthFailed,
    ContentFiltered,
    ContextTooLong,
    DeploymentMissing,
    Empty,
    Malformed,
    OutOfQuota,
    ProviderError,
    Refused,
    ServerFault,
    Throttled,
    TimedOut,
    Truncated,
)
from providers.instance import Instance
from providers.masking import Masking
from providers.messages import Adaptation, ChatRequest, ChatResponse, Generation, Timing, Usage
from providers.route import Route
from providers.wire.errors.refusals import classify_failure
from providers.wire.operations.chat import build_payload, is_event_stream, read_completion
from providers.wire.rate_limits.headers import MAX_BELIEVABLE_WAIT_S
from providers.wire.received import Received

REQUEST = ChatRequest([{"role": "user", "content": "x" * 400}])
TIMING = Timing(0.0, None, 1.0)


def received(
    status: int = 200, body: object = b"", headers: dict[str, str] | None = None, secret: str = ""
) -> Received:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return Received("east/m", "s/0/1", REQUEST, status, headers or {}, raw, Masking([secret]))


def read(body: object) -> ChatResponse:
    return read_completion(body, received(body=body), TIMING)


def answer(message: object, finish_reason: object = "stop", **more: object) -> dict[str, object]:
    return {"choices": [{"message": message, "finish_reason": finish_reason}]} | more


def test_only_what_is_set_is_sent_and_the_deployment_is_the_model() -> None:
    route = Route(Instance("p/d", "model", "Deploy-2", "p", "p/d"), "http://h", ApiKey("K", "s"))
    assert build_payload(route, ChatRequest([])) == {"model": "Deploy-2", "messages": []}
    request = ChatRequest([], [{"type": "function"}], Generation(1, 0.0, seed=0, stream=True))
    assert build_payload(route, request) == {
        "model": "Deploy-2",
        "messages": [],
        "tools": [{"type": "function"}],
        "max_tokens": 1,
        "temperature": 0.0,
        "seed": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_extra_body_has_the_last_word() -> None:
    route = Route(Instance("p/d", "model", "d", "p", "p/d"), "http://h", None)
    assert (
        build_payload(route, ChatRequest([], generation=Generation(seed=1, extra_body={"seed": 2, "model": "x"})))[
            "seed"
        ]
        == 2
    )


def body(request: ChatRequest) -> dict[str, object]:
    route = Route(Instance("p/d", "model", "d", "p", "p/d"), "http://h", None)
    return {name: value for name, value in build_payload(route, request).items() if name not in {"model", "messages"}}


def test_every_field_of_a_generation_has_its_name_on_the_wire() -> None:
    generation = Generation(
        1, 0.0, 0.9, ("a", "b"), 2, False, "low", "high", {"type": "json_object"}, "required", False, 3, {"top_k": 4}
    )
    sent = body(ChatRequest([], [{"type": "function"}], generation))
    assert sent == {
        "tools": [{"type": "function"}], "max_tokens": 1, "temperature": 0.0, "top_p": 0.9, "stop": ["a", "b"], "seed": 2,
        "reasoning_effort": "low", "verbosity": "high", "response_format": {"type": "json_object"}, "tool_choice": "required",
        "parallel_tool_calls": False, "logprobs": True, "top_logprobs": 3, "top_k": 4,
    }  # fmt: skip


def test_what_is_about_tools_goes_out_with_tools_alone() -> None:
    assert body(ChatRequest([], generation=Generation(tool_choice="auto", parallel_tool_calls=True))) == {}


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
def test_a_bound_is_said_once_and_that_of_extra_body_wins(name: str) -> None:
    assert body(ChatRequest([], generation=Generation(max_tokens=5, extra_body={name: 9}))) == {name: 9}


def test_an_adapted_request_has_the_instances_names_in_both_parts() -> None:
    adaptation = Adaptation({"max_tokens": "max_completion_tokens"}, ("temperature", "top_k", "stream_options"), "")
    generation = Generation(5, 0.0, stream=True, extra_body={"top_k": 1, "top_a": 2})
    assert body(ChatRequest([], generation=generation, adaptation=adaptation)) == {
        "max_completion_tokens": 5, "stream": True, "top_a": 2,
    }  # fmt: skip


def test_what_the_server_says_decides_whether_it_is_a_stream() -> None:
    streamed = ChatRequest([], generation=Generation(stream=True))
    assert is_event_stream("text/event-stream; charset=utf-8", REQUEST)
    assert is_event_stream("text/plain", streamed)
    assert not is_event_stream("application/json", streamed)
    assert not is_event_stream("text/plain", REQUEST)


def test_a_list_of_parts_is_a_text() -> None:
    parts = [{"type": "text", "text": "4"}, "2", {"type": "image"}]
    assert read(answer({"content": parts})).text == "42"


def test_a_legacy_function_call_is_a_tool_call() -> None:
    function = {"name": "f", "arguments": "{}"}
    assert read(answer({"content": None, "function_call": function})).tool_calls == [
        {"type": "function", "function": function}
    ]


def test_missing_usage_is_estimated_from_the_text() -> None:
    usage = read(answer({"content": "y" * 40})).usage
    assert usage == Usage(104, 10, estimated=True)


def test_missing_usage_is_estimated_from_reasoning_and_calls_as_well() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    usage = read(answer({"content": None, "reasoning": "y" * 40, "tool_calls": [call]})).usage
    assert usage.output_tokens > 20
    assert usage.estimated


def test_usage_of_zeros_is_estimated() -> None:
    usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    assert read(answer({"content": "y" * 40}, usage=usage)).usage == Usage(104, 10, estimated=True)


@pytest.mark.parametrize("where", ["choice", "x_groq"])
def test_usage_in_another_place_is_read(where: str) -> None:
    body = answer({"content": "y"})
    usage = {"prompt_tokens": 9, "completion_tokens": 5}
    if where == "choice":
        body["choices"][0]["usage"] = usage  # type: ignore[index]
    else:
        body["x_groq"] = {"usage": usage}
    assert read(body).usage == Usage(9, 5)


def test_the_answer_of_index_zero_counts_wherever_it_stands() -> None:
    second = {"index": 1, "message": {"content": "b"}, "finish_reason": "stop"}
    first = {"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}
    assert read({"choices": [second, first]}).text == "a"
    assert read({"choices": [second]}).text == "b"


def test_a_content_that_is_an_object_is_its_json() -> None:
    response = read(answer({"content": {"größe": [1, None]}}))
    assert (response.text, response.assistant["content"]) == ('{"größe": [1, null]}', '{"größe": [1, null]}')


@pytest.mark.parametrize(
    "reason",
    [
        "error",
        "abort",
        "network_error",
        "ERROR",
        "aborted",
        "failed",
        "timeout",
        "cancelled",
        "insufficient_system_resource",
    ],
)
def test_an_answer_that_the_server_broke_off_is_none(reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        read(answer({"content": "The answer might be"}, finish_reason=reason))


@pytest.mark.parametrize("reason", ["stop", "length", "end_turn", "STOP", "recitation", None])
def test_any_other_reason_ends_an_answer(reason: str | None) -> None:
    assert read(answer({"content": "4"}, finish_reason=reason)).text == "4"


def test_an_error_beside_an_answer_is_an_error_unless_the_tokens_were_used_up() -> None:
    body = answer({"content": "The"}, finish_reason="stop")
    body["choices"][0]["error"] = {"code": 502, "message": "Provider disconnected"}  # type: ignore[index]
    with pytest.raises(Malformed, match="Provider disconnected"):
        read(body)
    body["choices"][0]["finish_reason"] = "length"  # type: ignore[index]
    assert read(body).text == "The"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"detail": "out of memory"}, Malformed),
        ({"success": False, "message": "out of memory", "code": "PL-500", "data": None}, Malformed),
        ({"choices": None, "code": 50000, "msg": "out of memory"}, Malformed),
        ({"success": False, "message": "模型提供方限流, out of memory", "code": "MPE-429"}, Throttled),
        ({"success": False, "message": "无效的api key: out of memory", "code": "CE-003"}, AuthFailed),
    ],
)
def test_an_error_in_a_servers_own_form_inside_a_200_is_read_in_its_words(
    body: dict[str, object], expected: type[ProviderError]
) -> None:
    with pytest.raises(expected, match="out of memory"):
        read(body)


def test_a_broken_answer_says_why_in_the_servers_words() -> None:
    body = answer({"content": "The"}, finish_reason="error")
    body["choices"][0]["error"] = {"code": 502, "message": "Provider disconnected"}  # type: ignore[index]
    with pytest.raises(Malformed, match="Provider disconnected"):
        read(body)


def test_an_error_without_an_error_field_has_its_words() -> None:
    with pytest.raises(Malformed, match="out of memory"):
        read({"object": "error", "message": "CUDA out of memory", "code": 500})


# ------------------------------------------------------------------ reasoning, and the turn that goes back
def test_plain_text_is_remembered_as_it_came() -> None:
    silent: dict[str, object] = {"refusal": None, "annotations": [], "tool_calls": None}
    message = {"role": "assistant", "content": "y", **silent}
    response = read(answer(message))
    assert (response.reasoning, response.assistant) == ("", {"role": "assistant", "content": "y"})


def test_reasoning_in_a_field_goes_back_under_its_name() -> None:
    details = [{"type": "reasoning.text", "text": "hm", "signature": "s"}]
    message = {"role": "assistant", "content": "y", "reasoning": "hm", "reasoning_details": details, "refusal": None}
    response = read(answer(message))
    kept = {"role": "assistant", "content": "y", "reasoning": "hm", "reasoning_details": details}
    assert (response.text, response.reasoning, response.assistant) == ("y", "hm", kept)


def test_what_only_reports_does_not_go_back() -> None:
    message = {
        "content": "y",
        "annotations": [{"url": "x"}],
        "content_filter_results": {"hate": {}},
        "citations": ["x"],
    }
    assert read(answer(message)).assistant == {"role": "assistant", "content": "y"}


def test_thinking_in_the_text_is_no_answer_and_goes_back_as_it_came() -> None:
    response = read(answer({"role": "assistant", "content": "<think>\nhm\n</think>\n\n42"}))
    assert (response.text, response.reasoning) == ("42", "\nhm\n")
    assert response.assistant["content"] == "<think>\nhm\n</think>\n\n42"


def test_blank_thinking_is_no_reasoning() -> None:
    assert read(answer({"content": "<think>\n\n</think>\n42"})).reasoning == ""


def test_thinking_that_is_cut_off_is_no_answer() -> None:
    with pytest.raises(Truncated, match="thinking"):
        read(answer({"content": "<think>The answer is 42, or"}, finish_reason="length"))
    with pytest.raises(Empty):
        read(answer({"content": "<think>The answer is 42, or"}, finish_reason="stop"))


def test_thinking_parts_are_reasoning_and_go_back() -> None:
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "42"}]
    response = read(answer({"content": parts}))
    assert (response.text, response.reasoning, response.assistant["content"]) == ("42", "hm", parts)


@pytest.mark.parametrize(("arguments", "text"), [(None, ""), ({"x": [1]}, '{"x":[1]}'), ("{", "{"), ([], "[]")])
def test_arguments_are_text(arguments: object, text: str) -> None:
    call = {"id": "a", "function": {"name": "f", "arguments": arguments}, "extra_content": {"signature": "s"}}
    response = read(answer({"content": None, "tool_calls": [call]}))
    expected = [{**call, "function": {"name": "f", "arguments": text}}]
    assert response.tool_calls == expected
    assert response.assistant == {"role": "assistant", "content": None, "tool_calls": expected}


@pytest.mark.parametrize("field", ["content", "reasoning_content", "extra_content"])
def test_a_key_in_an_answer_is_masked_in_the_turn(field: str) -> None:
    secret = "sk-" + "s3cret" * 20
    body = answer({"content": "y", "reasoning": "hm"} | {field: f"the key is {secret}."})
    response = read_completion(body, received(body=body, secret=secret), TIMING)
    assert secret not in response.text + response.reasoning + repr(response.assistant)
    assert "***" in repr(response.assistant)


def test_a_field_that_is_nested_too_deeply_to_be_sent_is_malformed() -> None:
    deep: object = 1
    for _ in range(300):
        deep = [deep]
    with pytest.raises(Malformed):
        read_completion(answer({"content": "y", "reasoning_details": deep}), received(), TIMING)


@pytest.mark.parametrize("usage", [None, 7, {}, {"prompt_tokens": -1, "completion_tokens": 2}, {"prompt_tokens": "7"}])
def test_usage_that_makes_no_sense_is_estimated(usage: object) -> None:
    assert read(answer({"content": "y"}, usage=usage)).usage.estimated


def test_details_of_usage_are_read() -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    assert read(answer({"content": "y"}, usage=usage)).usage == Usage(9, 5, 4, 3)


def test_an_unfinished_reason_is_kept_as_nothing() -> None:
    assert read(answer({"content": "y"}, finish_reason=None)).finish_reason == ""


def test_a_filtered_choice_needs_no_message() -> None:
    with pytest.raises(ContentFiltered):
        read({"choices": [{"finish_reason": "content_filter", "content_filter_results": {}}]})


def test_an_empty_answer_of_any_other_reason_is_empty() -> None:
    with pytest.raises(Empty, match="tool_calls"):
        read(answer({"content": "", "tool_calls": []}, finish_reason="tool_calls"))


@pytest.mark.parametrize(
    "body",
    [
        None, [], "text", {}, {"choices": None}, {"choices": {}}, {"choices": [None]}, {"choices": ["a"]},
        {"choices": [{}]}, {"choices": [{"message": "text"}]}, answer({"content": 7}), answer({"content": [7]}),
        answer({"content": "a"}, finish_reason=7), answer({"tool_calls": "f()"}),
        answer({"tool_calls": ["f()"]}), answer({"tool_calls": [{"id": "1"}]}), {"error": {"message": "boom"}},
        {"error": "boom"},
    ],
)  # fmt: skip
def test_a_body_of_another_shape_is_malformed(body: object) -> None:
    with pytest.raises(Malformed):
        read(body)


OPENAI_QUOTA = {
    "error": {"message": "You exceeded your current quota", "type": "insufficient_quota", "code": "insufficient_quota"}
}
AZURE_FILTER = {
    "error": {
        "message": "The response was filtered",
        "code": None,
        "innererror": {"code": "ResponsibleAIPolicyViolation"},
    }
}
VLLM_LONG = {
    "object": "error",
    "message": "This model's maximum context length is 4096 tokens.",
    "type": "BadRequestError",
    "code": 400,
}
GEMINI_ZERO = [
    {"error": {"code": 429, "message": "Quota exceeded, limit: 0, model: gemini", "status": "RESOURCE_EXHAUSTED"}}
]


def said(message: str, code: str | None = None) -> object:
    return {"error": {"message": message, "code": code}}


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (301, b"", Malformed),
        (400, said("temperature must be below 2"), Refused),
        (400, said("too long", "context_length_exceeded"), ContextTooLong),
        (400, VLLM_LONG, ContextTooLong),
        (400, AZURE_FILTER, ContentFiltered),
        (400, said("no", "content_filter"), ContentFiltered),
        (400, said("The chatCompletion operation does not work with the model", "OperationNotSupported"), DeploymentMissing),
        (400, {"error": {"message": "Invalid model name passed in model=x"}}, DeploymentMissing),
        (401, b"<html><h1>Unauthorized</h1></html>", AuthFailed),
        (402, b"", OutOfQuota),
        (403, {"detail": "Forbidden"}, AuthFailed),
        (403, b"<html><h1>Blocked</h1></html>", ServerFault),
        (400, b"<html>The plain HTTP request was sent to HTTPS port</html>", ServerFault),
        (403, said("triggering Azure OpenAI's content management policy"), ContentFiltered),
        (403, said("no access to model", "model_not_found"), DeploymentMissing),
        (404, b"", DeploymentMissing),
        (404, said("Resource not found", "404"), DeploymentMissing),
        (405, b"", Refused),
        (408, b"", TimedOut),
        (409, b"", Refused),
        (413, b"", ContextTooLong),
        (415, b"", Refused),
        (418, b"", Refused),
        (422, {"detail": [{"msg": "field required"}]}, Refused),
        (424, b"", ServerFault),
        (425, b"", ServerFault),
        (429, b"", Throttled),
        (429, said("Rate limit reached: Limit 10000, Used 9000"), Throttled),
        (429, OPENAI_QUOTA, OutOfQuota),
        (429, said("spend", "enforced_spend_limit_reached"), OutOfQuota),
        (429, said("hard limit", "billing_hard_limit_reached"), OutOfQuota),
        (429, GEMINI_ZERO, OutOfQuota),
        (429, said("limit: 0.5 per second"), Throttled),
        (429, said("Please try again in 10h17m"), OutOfQuota),
        (500, b"oops", ServerFault),
        (503, b"", ServerFault),
        (503, said("slow down", "SlowDown"), Throttled),
        (503, said("too many requests, we are busy"), ServerFault),
        (529, said("overloaded", "overloaded_error"), ServerFault),
        (599, b"", ServerFault),
    ],
)  # fmt: skip
def test_a_status_and_its_words_name_the_error(status: int, body: object, expected: type[ProviderError]) -> None:
    error = classify_failure(received(status, body))
    assert type(error) is expected
    assert error.evidence.status == status


def test_a_503_that_says_when_to_come_back_is_a_throttle() -> None:
    answered = received(503, said("too many requests, we are busy"), {"retry-after": "2"})
    assert type(classify_failure(answered)) is Throttled


@pytest.mark.parametrize(
    ("wait_s", "expected"), [(MAX_BELIEVABLE_WAIT_S, Throttled), (MAX_BELIEVABLE_WAIT_S + 1, OutOfQuota)]
)
def test_a_wait_beyond_belief_is_a_quota(wait_s: float, expected: type[ProviderError]) -> None:
    error = classify_failure(received(429, b"", {"retry-after": str(wait_s)}))
    assert type(error) is expected
    assert error.retry_after_s == wait_s


@pytest.mark.parametrize(
    ("message", "refused"),
    [
        ({"content": None, "refusal": "I cannot"}, True),
        ({"content": [{"type": "refusal", "refusal": "I cannot"}]}, True),
        ({"content": "I cannot", "refusal": None}, False),
        ({"content": [{"type": "text", "text": "I cannot"}]}, False),
    ],
)
def test_what_the_server_calls_a_refusal_is_known_as_one(message: dict[str, object], refused: bool) -> None:
    found = read(answer(message))
    assert (found.text, found.refused) == ("I cannot", refused)


def test_a_refusal_that_the_server_wants_again_is_a_fault() -> None:
    assert type(classify_failure(received(400, b"{}", {"x-should-retry": "true"}))) is ServerFault


def test_a_fault_that_the_server_does_not_want_again_is_still_no_failure_of_the_model() -> None:
    assert type(classify_failure(received(500, b"", {"x-should-retry": "false"}))) is ServerFault


@pytest.mark.parametrize("status", [200, 401, 500])
def test_a_key_that_the_server_echoes_is_masked(status: int) -> None:
    secret = "sk-" + "s3cret" * 20
    answered = received(status, said(f"Incorrect API key provided: {secret}."), secret=secret)
    error: ProviderError
    if status == 200:
        with pytest.raises(AuthFailed) as caught:
            read_completion(orjson.loads(answered.body), answered, TIMING)
        error = caught.value
    else:
        error = classify_failure(answered)
    assert secret not in str(error) + repr(error.evidence) + repr(answered)
    assert "***" in str(error)
    assert "***" in error.evidence.body


def test_a_key_on_the_edge_of_what_is_kept_is_masked_whole() -> None:
    secret = "k" * 100
    body = b"x" * 4050 + secret.encode() + b"y" * 9000
    assert "kkk" not in classify_failure(received(500, body, secret=secret)).evidence.body


def test_a_message_is_one_short_printable_line() -> None:
    message = str(classify_failure(received(500, said("a\x1b[31m\r\nb\u202e" + "c" * 5000))))
    assert message.isprintable()
    assert len(message) < 400
    assert message.startswith("east/m: the server failed (HTTP 500): a [31m b c")


def test_a_redirect_names_the_host_only() -> None:
    error = classify_failure(received(302, b"", {"location": "https://user:pw@evil.example/steal?key=1"}))
    assert "evil.example" in str(error)
    assert "pw" not in str(error)
    assert "key=1" not in str(error)
