"""Under which name an answer is kept, and that it comes back whole."""

from dataclasses import replace
from uuid import UUID

import pytest

from huntaze.pipelines.ai.calls import Caller, ChatReply, ChatRequest
from huntaze.pipelines.ai.deployments import Deployment
from huntaze.pipelines.ai.keys import cache_key

ONE = Deployment(name="a", model="m", base_url="http://h/v1")
ASK = ChatRequest("generate", "Héllo", image=b"x")
ADA = Caller(UUID(int=1))


def test_the_key_is_that_of_the_question_and_of_who_may_see_the_answer() -> None:
    key = cache_key(ONE, ASK, ADA)
    assert len(key) == 64
    same = [
        cache_key(ONE, replace(ASK, prompt=" He\u0301llo\n"), ADA),  # the same letters, written otherwise
        cache_key(ONE, ASK, replace(ADA, job_id=UUID(int=9), cache_s=5, patience_s=1)),
        cache_key(ONE.model_copy(update={"name": "b", "timeout_s": 9.0}), ASK, ADA),
    ]
    assert set(same) == {key}
    changes = {
        "role": "reason",
        "prompt": "hello",
        "system": "x",
        "image": b"y",
        "max_tokens": 1,
        "temperature": 0.5,
        "schema": {},
        "prompt_version": "2",
    }
    others = [cache_key(ONE, replace(ASK, **{name: value}), ADA) for name, value in changes.items()]  # type: ignore[arg-type]
    others += [cache_key(ONE, ASK, caller) for caller in (Caller(UUID(int=2)), Caller(), replace(ADA, shared=True))]
    others += [cache_key(ONE.model_copy(update={name: "x"}), ASK, ADA) for name in ("model", "base_url")]
    assert len({key, *others}) == 1 + len(others)
    assert {name for name in vars(ASK) if name not in changes} == {"image_tokens"}, "whatever changes an answer counts"


def test_a_reply_comes_back_as_it_was() -> None:
    reply = ChatReply("ü", "m", "a", 1, 2, 3, cut=True)
    assert ChatReply.from_json(reply.to_json()) == reply
    for text in ("", "null", "[]", '{"text": 1, "colour": 2}', "{}", '"x"', "7"):
        with pytest.raises(ValueError):  # noqa: PT011 - json has a word of its own for it
            ChatReply.from_json(text)
