"""A key is masked however a server spells it, and an answer without one is searched with `in` alone."""

from __future__ import annotations

import base64
import json
import pickle
import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass
from urllib.parse import quote

import pytest

from providers.credentials import ApiKey
from providers.masking import MASK, Masking, Secret
from providers.messages import ChatRequest
from providers.wire.received import Received

KEYS = ["sk-Planted/Good+5501==", "0123456789abcdef0123456789abcdef", "planted-wrong-31f7"]

SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "JSON": lambda key: json.dumps(key).replace("/", "\\/"),
    "an address": lambda key: quote(key, safe=""),
    "an address in small letters": lambda key: re.sub("%..", lambda sign: sign[0].lower(), quote(key, safe="")),
    "upper case": str.upper,
    "lower case": str.lower,
    "reversed": lambda key: key[::-1],
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "base64 of a header": lambda key: base64.b64encode(f"Bearer {key}".encode()).decode(),
    "base64 of a user and password": lambda key: base64.b64encode(f"me:{key}".encode()).decode(),
    "base64 further on": lambda key: base64.b64encode(f"it is {key}, I think".encode()).decode(),
    "base64 for addresses": lambda key: base64.urlsafe_b64encode(f"~~~{key}".encode()).decode(),
    "base64 in an address": lambda key: quote(base64.b64encode(f"a{key}".encode()).decode(), safe=""),
}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_key_is_masked_in_answers_and_errors_however_it_is_spelt(spelling: str, key: str) -> None:
    echoed, masking = SPELLINGS[spelling](key), Masking(["a-secret-header", key])
    text = f"You gave me {echoed} and I keep it."
    for masked in (masking.without_keys(text), masking.mask(text), masking.mask_start(text)):
        assert MASK in masked
        assert masked.startswith("You gave me ")
        assert masked.endswith(" and I keep it.")
        assert len(masked) <= len(text) - len(key) + len(MASK) + 1


@pytest.mark.parametrize("spelling", [name for name in SPELLINGS if "base64 " not in name])
def test_the_part_of_a_spelling_that_a_cut_leaves_is_masked(spelling: str) -> None:
    echoed = SPELLINGS[spelling](KEYS[0]).strip('"')
    for kept in range(12, len(echoed)):
        assert echoed[4:kept] not in Masking([KEYS[0]]).mask_start(f"the key: {echoed[:kept]}")


def test_short_keys_are_words_of_an_answer_and_no_words_of_an_error() -> None:
    masking = Masking(["EMPTY", ""])
    assert masking.without_keys("EMPTY") == "EMPTY"
    assert masking.mask("EMPTY, empty") == "***, empty"


@pytest.mark.parametrize("key", KEYS)
def test_what_only_resembles_a_key_stays(key: str) -> None:
    text = f"{key[:-1]} {key.title()} {Masking([key]).marks[0][1]} 0123456789abcdef 89abcdef01234567"
    assert Masking([key + "x"]).without_keys(text) == text


@pytest.mark.parametrize("key", KEYS)
def test_an_answer_is_searched_for_few_short_marks(key: str) -> None:
    marks = [mark for _, mark in Masking([key]).marks]
    assert len(marks) <= 7
    assert max(map(len, marks)) <= 8


@dataclass
class Holder:
    """What an error report may take apart."""

    of: Secret


RECEIVED = Received("east", "r-1", ChatRequest([]), 200, {}, masking=Masking(["planted-wrong-31f7"]))
KEY = ApiKey("OPENAI_API_KEY", "planted-wrong-31f7")


@pytest.mark.parametrize("secret", [KEY, Masking(["planted-wrong-31f7"])])
@pytest.mark.parametrize("copied", [pickle.dumps, deepcopy, lambda secret: asdict(Holder(secret))])
def test_a_secret_refuses_to_be_pickled_and_copied(secret: Secret, copied: Callable[[object], object]) -> None:
    with pytest.raises(TypeError, match="holds a secret and cannot be pickled or copied"):
        copied(secret)


@pytest.mark.parametrize("holder", [KEY, RECEIVED, Masking(["planted-wrong-31f7"]), Holder(KEY)])
def test_no_repr_shows_a_secret(holder: object) -> None:
    assert "31f7" not in f"{holder!r} {holder}"


def test_a_key_is_no_dataclass_whose_fields_are_listed_and_still_equals_itself() -> None:
    with pytest.raises(TypeError):
        asdict(KEY)  # type: ignore[call-overload]
    assert KEY == ApiKey("OPENAI_API_KEY", "planted-wrong-31f7") != ApiKey("OPENAI_API_KEY", "other")
