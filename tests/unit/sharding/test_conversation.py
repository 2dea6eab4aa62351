from __future__ import annotations

import pytest

from providers.errors import InputError
from providers.messages import JSON
from sharding.conversation import check_messages, with_system, with_user_template

IMAGE: dict[str, JSON] = {"type": "image_url", "image_url": {"url": "data:,"}}


def text(value: str) -> dict[str, JSON]:
    return {"type": "text", "text": value}


def user(content: JSON) -> dict[str, JSON]:
    return {"role": "user", "content": content}


def test_system_text_comes_before_the_systems_own() -> None:
    own: dict[str, JSON] = {"role": "system", "content": "Speak French."}
    assert with_system((own, user("hi")), "Be brief.")[0] == {"role": "system", "content": "Be brief.\n\nSpeak French."}
    assert own == {"role": "system", "content": "Speak French."}


def test_a_developer_message_counts_as_the_system_message() -> None:
    own: dict[str, JSON] = {"role": "developer", "content": [text("Speak French.")]}
    expected = {"role": "developer", "content": [text("Be brief."), text("Speak French.")]}
    assert with_system((own, user("hi")), "Be brief.") == (expected, user("hi"))


def test_without_a_system_message_a_new_one_stands_in_front() -> None:
    assert with_system((user("hi"),), "Be brief.") == ({"role": "system", "content": "Be brief."}, user("hi"))
    assert with_system((), "Be brief.") == ({"role": "system", "content": "Be brief."},)


def test_only_the_last_user_message_is_wrapped() -> None:
    answer: dict[str, JSON] = {"role": "assistant", "content": "yes"}
    messages = (user("first"), answer, user("second"), answer)
    assert with_user_template(messages, "<{input}>") == (user("first"), answer, user("<second>"), answer)


def test_braces_in_a_task_are_safe() -> None:
    assert with_user_template((user("{x} {input} {{}}"),), "Q: {input}!") == (user("Q: {x} {input} {{}}!"),)


def test_without_a_user_message_nothing_changes() -> None:
    messages = ({"role": "system", "content": "Begin."},)
    assert with_user_template(messages, "<{input}>") == messages


def test_the_template_goes_around_the_text_parts_and_images_stay() -> None:
    wrapped = with_user_template((user([IMAGE, text("what"), IMAGE, text("is this?")]),), "Look. {input} Think.")
    assert wrapped == (user([IMAGE, text("Look. what"), IMAGE, text("is this? Think.")]),)


def test_a_single_text_part_gets_both_sides() -> None:
    assert with_user_template((user([text("what?"), IMAGE]),), "a {input} b {input}") == (
        user([text("a what? b what?"), IMAGE]),
    )


def test_an_image_alone_gets_the_template_as_text() -> None:
    assert with_user_template((user([IMAGE]),), "{input}\n\nThink.") == (user([IMAGE, text("Think.")]),)


@pytest.mark.parametrize("role", [["user"], {"user": 1}, None, 7, "human"], ids=repr)
def test_a_role_of_any_other_kind_is_refused_with_its_value(role: JSON) -> None:
    with pytest.raises(InputError, match=r"message 1 has the role .*, which is none of assistant"):
        check_messages([{"role": role, "content": "hi"}])
