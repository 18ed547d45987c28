"""Against real HTTP servers: tests/llm/fault_server.py in a thread, in-process or as a process of its own."""

import asyncio
import json
import logging
import math
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.llm.collecting import answers_and_groups, answers_of
from tests.llm.fault_server import (
    FAULTS,
    Answer,
    Call,
    FaultServer,
    Reply,
    completion,
    delayed,
    echo,
    fault,
    first_token,
    model_list,
    permutation,
    refusal,
    with_faults,
)
from valueflow.llm import (
    CUT_IN_THOUGHTS,
    Completion,
    Constraint,
    Conversation,
    PromptTooLong,
    Sampling,
    ServerModel,
)
from valueflow.llm.engines.server.answers import read_completion
from valueflow.llm.engines.server.engine import NO_COMPLETION, ServerEngine
from valueflow.run import CONFIG_DIR, InputError, built, compose_group

KEY = "sk-9f3cNEVERtobeSEEN77"
RANKING = Constraint(
    name="ranking_of_2",
    grammar='root ::= "[1, 2]" | "[2, 1]"',
    schema={"type": "object", "properties": {"ranking": {"type": "array", "items": {"enum": (1, 2)}}}},
)


@contextmanager
def engine_for(server: FaultServer, **settings: Any) -> Iterator[ServerEngine]:
    engine = ServerModel(**{"base_url": server.url, "max_retries": 0, "timeout": 10, **settings}).start()
    try:
        yield engine
    finally:
        engine.close()


def questions(n: int) -> list[Conversation]:
    return [[{"role": "system", "content": "be brief"}, {"role": "user", "content": f"question {i}"}] for i in range(n)]


def ask(answer: Answer, n: int = 1, sampling: Sampling | None = None, **settings: Any) -> list[Completion]:
    with FaultServer(answer) as server, engine_for(server, **settings) as engine:
        return answers_of(engine, questions(n), sampling or Sampling())


def test_answers_keep_the_order_of_the_questions_and_arrive_once() -> None:
    with (
        FaultServer(lambda call: replace(echo(call), delay=random.random() / 20)) as server,
        engine_for(server, concurrency=16) as engine,
    ):
        completions, groups = answers_and_groups(engine, questions(120), Sampling())
    arrived = [index for arrivals in groups for index, _ in arrivals]
    assert [completion.text for completion in completions] == [f"question {i}" for i in range(120)]
    assert sorted(arrived) == list(range(120))
    assert arrived != list(range(120))


def test_an_empty_batch_asks_nothing() -> None:
    with FaultServer() as server, engine_for(server) as engine:
        assert answers_of(engine, [], Sampling()) == []
    assert server.calls == []


@pytest.mark.parametrize("concurrency", [1, 5])
def test_no_more_calls_than_allowed_are_under_way(concurrency: int) -> None:
    with FaultServer(delayed(echo, 0.02)) as server, engine_for(server, concurrency=concurrency) as engine:
        answers_of(engine, questions(30), Sampling())
    assert server.most_at_once == concurrency


@pytest.mark.slow
def test_calls_are_spread_over_the_minute_repeated_ones_too() -> None:
    def second_time(call: Call) -> Reply:
        return echo(call) if call.attempt > 1 else fault("429", echo(call))

    with (
        FaultServer(second_time) as server,
        engine_for(server, requests_per_minute=600, max_retries=1, concurrency=8) as engine,
    ):
        completions = answers_of(engine, questions(6), Sampling())
    assert all(completion.text for completion in completions)
    arrivals = [call.at for call in server.calls]
    assert len(arrivals) == 12
    # They leave 0.1 s apart; on the way one may fall behind, so that the next seems to follow it sooner.
    assert arrivals[-1] - arrivals[0] > 0.9
    assert all(arrivals[i + 3] - arrivals[i] > 0.1 for i in range(9))


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.slow
def test_whatever_goes_wrong_each_question_ends_once_with_a_text_or_a_reason(
    seed: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("FAULTY_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    with (
        FaultServer(with_faults(echo, 0.3, seed)) as server,
        engine_for(server, timeout=0.5, max_retries=1, api_key_env="FAULTY_KEY", concurrency=50) as engine,
    ):
        completions = answers_of(engine, questions(150), Sampling())
    for index, answered in enumerate(completions):
        assert (answered.text == f"question {index}") != bool(answered.error)
    reasons = {completion.error for completion in completions} - {""}
    assert reasons
    told = {"status 429: slow down", "status 500: something broke"}
    assert reasons <= told | {"connection dropped", "no answer within 0.5 s", NO_COMPLETION}
    assert KEY not in caplog.text + "".join(reasons)
    assert all(call.headers["authorization"] == f"Bearer {KEY}" for call in server.calls)


@pytest.mark.parametrize("kind", FAULTS)
def test_a_passing_fault_is_not_noticed(kind: str) -> None:
    def second_time(call: Call) -> Reply:
        return echo(call) if call.attempt > 1 else fault(kind, echo(call))

    assert [c.text for c in ask(second_time, 2, timeout=0.5, max_retries=1)] == ["question 0", "question 1"]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("429", "status 429: slow down"),
        ("500", "status 500: something broke"),
        ("drop", "connection dropped"),
        ("truncate", "connection dropped"),
        ("hang", "no answer within 0.3 s"),
        ("drip", "no answer within 0.3 s"),
        ("empty", NO_COMPLETION),
        ("garbage", NO_COMPLETION),
    ],
)
def test_a_fault_that_stays_is_the_reason(kind: str, reason: str) -> None:
    assert ask(lambda call: fault(kind, echo(call)), timeout=0.3) == [Completion("", error=reason)]


@pytest.mark.parametrize(
    "body", ["null", "[]", "{}", '{"choices": []}', '{"choices": null}', '{"choices": [{}]}', "[" * 9**5]
)
def test_json_that_is_no_completion_gets_one_more_try(body: str) -> None:
    with FaultServer(lambda _: Reply(body.encode())) as server, engine_for(server) as engine:
        assert answers_of(engine, questions(1), Sampling()) == [Completion("", error=NO_COMPLETION)]
    assert len(server.calls) == 2


def test_what_was_asked_stands_in_the_request() -> None:
    sampling = Sampling(temperature=0.7, max_tokens=9, seed=5)
    with (
        FaultServer() as server,
        engine_for(
            server,
            model="m",
            token_limit_key="max_completion_tokens",
            reasoning_tokens=100,
            extra_body={"reasoning_effort": "low"},
        ) as engine,
    ):
        answers_of(engine, questions(1), sampling)
    assert server.calls[0].body == {
        "model": "m",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "question 0"}],
        "temperature": 0.7,
        "seed": 5,
        "max_completion_tokens": 109,
        "reasoning_effort": "low",
    }


def test_extra_fields_win_and_null_leaves_a_field_out() -> None:
    with FaultServer() as server, engine_for(server, extra_body={"seed": None, "temperature": 1}) as engine:
        answers_of(engine, questions(1), Sampling())
    assert "seed" not in server.calls[0].body
    assert server.calls[0].body["temperature"] == 1


def test_counts_and_cuts_are_told() -> None:
    (cut,) = ask(lambda _: completion("half an ans", "length", prompt_tokens=31, completion_tokens=4))
    assert cut == Completion("half an ans", prompt_tokens=31, completion_tokens=4, truncated=True)
    (empty,) = ask(lambda _: completion(None))
    assert empty == Completion("", prompt_tokens=11, completion_tokens=7)


def test_a_server_may_give_no_counts_or_nonsense() -> None:
    body = {"choices": [{"message": {"content": "yes"}}], "usage": {"prompt_tokens": "many", "completion_tokens": -3}}
    assert ask(lambda _: Reply(json.dumps(body).encode())) == [Completion("yes")]
    assert ask(lambda _: Reply(json.dumps(body | {"usage": None}).encode())) == [Completion("yes")]


def test_only_what_follows_the_thoughts_is_the_answer() -> None:
    assert ask(lambda _: completion("<think>2 or 1?</think>\n[1, 2]"), answer_after="</think>")[0].text == "[1, 2]"
    (unfinished,) = ask(lambda _: completion("<think>2 or", "length"), answer_after="</think>")
    assert (unfinished.text, unfinished.truncated, unfinished.error) == ("", True, CUT_IN_THOUGHTS)


HOSTILE = ["\ud800 alone", "a\x00b\x1b[2J\u2028", "{value} {{}} %s", "é" * 50_000, '"}], "model": "other"']


def test_hostile_texts_go_there_and_back() -> None:
    conversations: list[Conversation] = [[{"role": "user", "content": text}] for text in HOSTILE]
    with FaultServer() as server, engine_for(server, model="m") as engine:
        texts = [completion.text for completion in answers_of(engine, conversations, Sampling())]
    # Half a surrogate pair is no character; UTF-8, in which requests are sent, has no bytes for it.
    assert texts == ["\ufffd alone", *HOSTILE[1:]]
    assert {call.body["model"] for call in server.calls} == {"m"}


def test_half_a_surrogate_pair_in_an_answer_is_replaced() -> None:
    (answered,) = ask(lambda _: Reply(b'{"choices": [{"message": {"content": "\\ud800 \\ud83d\\ude00 \\udc00a"}}]}'))
    assert answered.text == "\ufffd \U0001f600 \ufffda"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "message", "content", "usage", "finish_reason"]), inner, max_size=4
        )
    ),
)


@given(json_values)
def test_no_json_answer_breaks_the_reader(answer: object) -> None:
    read = read_completion(json.dumps(answer), "")
    assert read is None or isinstance(read.text, str)


# What an answer must look like


def constrained(server: FaultServer, n: int = 1, **settings: Any) -> list[Completion]:
    with engine_for(server, **settings) as engine:
        return answers_of(engine, questions(n), Sampling(constraint=RANKING))


def test_vllm_gets_the_grammar_other_servers_the_schema() -> None:
    with FaultServer(models=model_list("m", owned_by="vllm")) as server:
        constrained(server)
    assert server.calls[0].body["structured_outputs"] == {"grammar": RANKING.grammar}
    assert "response_format" not in server.calls[0].body
    with FaultServer() as server:
        constrained(server)
    schema = {"type": "object", "properties": {"ranking": {"type": "array", "items": {"enum": [1, 2]}}}}
    assert server.calls[0].body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "ranking_of_2", "strict": True, "schema": schema},
    }
    assert "structured_outputs" not in server.calls[0].body


@pytest.mark.parametrize(("setting", "key"), [("vllm", "structured_outputs"), ("json_schema", "response_format")])
def test_the_user_may_choose_how_the_form_is_asked_for(setting: str, key: str) -> None:
    with FaultServer() as server:
        constrained(server, structured_outputs=setting)
    assert {"structured_outputs", "response_format"} & set(server.calls[0].body) == {key}


def test_no_form_is_asked_for_where_none_is_wanted() -> None:
    with FaultServer() as server:
        constrained(server, structured_outputs="none")
        with engine_for(server) as engine:
            answers_of(engine, questions(1), Sampling())
    assert all(not {"structured_outputs", "response_format"} & set(call.body) for call in server.calls)


def option(letters: str, tokens: int, schema: dict[str, Any] | None) -> Sampling:
    return Sampling(0.0, tokens, 0, Constraint(f"one_of_{letters}", f"root ::= [{letters}]", schema))


@pytest.mark.parametrize("owner", ["vllm", "somebody"])
def test_each_request_says_what_is_asked_of_its_own_answer(owner: str) -> None:
    samplings = [option("AB", 4, {"enum": ["A", "B"]}), option("ABC", 5, {"enum": [*"ABC"]}), Sampling(0.7, 9, 3)] * 5
    with (
        FaultServer(
            lambda call: replace(echo(call), delay=random.random() / 50), models=model_list("m", owned_by=owner)
        ) as server,
        engine_for(server) as engine,
    ):
        texts = [completion.text for completion in answers_of(engine, questions(15), samplings)]
    assert texts == [f"question {i}" for i in range(15)]
    bodies = {call.question: call.body for call in server.calls}
    assert len(server.calls) == len(bodies) == 15
    for i, sampling in enumerate(samplings):
        body = bodies[f"question {i}"]
        asked = (body["temperature"], body["max_tokens"], body["seed"])
        assert asked == (sampling.temperature, sampling.max_tokens, sampling.seed)
        schema = body.get("response_format", {}).get("json_schema", {}).get("schema")
        grammar = body.get("structured_outputs", {}).get("grammar")
        wanted = sampling.constraint
        assert grammar == (wanted.grammar if wanted and owner == "vllm" else None)
        assert schema == (wanted.schema if wanted and owner != "vllm" else None)


def test_more_or_fewer_samplings_than_conversations_are_told_and_nothing_is_asked() -> None:
    with FaultServer() as server, engine_for(server) as engine:
        for n in (0, 1, 3):
            with pytest.raises(ValueError, match=f"{n} samplings for 2 conversations"):
                answers_of(engine, questions(2), [Sampling()] * n)
    assert server.calls == []


def test_an_answer_too_short_for_a_schema_is_held_to_the_grammar_or_to_nothing() -> None:
    short = option("AB", 4, None)
    for owner, asked in (("vllm", {"structured_outputs": {"grammar": "root ::= [AB]"}}), ("somebody", {})):
        with FaultServer(models=model_list("m", owned_by=owner)) as server, engine_for(server) as engine:
            answers_of(engine, questions(1), short)
        (call,) = server.calls
        assert {key: call.body[key] for key in ("structured_outputs", "response_format") if key in call.body} == asked


def test_a_refusal_is_not_blamed_on_a_form_that_was_not_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    def once(call: Call) -> Reply:
        return refusal(400, "not now") if call.attempt == 1 and call.question == "question 0" else echo(call)

    samplings = [option("AB", 4, None), Sampling(constraint=RANKING)]
    with FaultServer(once) as server, engine_for(server, concurrency=1) as engine:
        completions = answers_of(engine, questions(2), samplings)
    assert [completion.error for completion in completions] == ["status 400: not now", ""]
    assert ["response_format" in call.body for call in server.calls] == [False, True]
    assert not caplog.records


def refuses_forms(status: int) -> Answer:
    def answer(call: Call) -> Reply:
        return refusal(status, "Unknown name") if "response_format" in call.body else echo(call)

    return answer


@pytest.mark.parametrize("status", [400, 404, 422, 501])
def test_a_server_that_refuses_structured_output_is_asked_without_from_then_on(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    with FaultServer(refuses_forms(status)) as server:
        completions = constrained(server, 20, concurrency=1)
    assert [completion.text for completion in completions] == [f"question {i}" for i in range(20)]
    assert ["response_format" in call.body for call in server.calls] == [True] + [False] * 20
    assert sum("structured output" in record.message for record in caplog.records) == 1


def test_many_refusals_at_once_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    with FaultServer(delayed(refuses_forms(400), 0.05)) as server:
        assert all(completion.text for completion in constrained(server, 30, concurrency=10))
    assert sum("response_format" in call.body for call in server.calls) == 10
    assert sum("structured output" in record.message for record in caplog.records) == 1


def test_a_refusal_that_is_not_about_the_form_leaves_it_on(caplog: pytest.LogCaptureFixture) -> None:
    def picky(call: Call) -> Reply:
        return refusal(400, "no numbers, please") if call.question == "question 1" else echo(call)

    with FaultServer(picky) as server:
        completions = constrained(server, 3, concurrency=1)
    assert [completion.error for completion in completions] == ["", "status 400: no numbers, please", ""]
    assert "response_format" in server.calls[-1].body
    assert not caplog.records


def test_only_an_answer_shows_that_the_form_was_the_matter(caplog: pytest.LogCaptureFixture) -> None:
    def broken(call: Call) -> Reply:
        return refusal(400, "bad day") if "response_format" in call.body else Reply(b"?")

    with FaultServer(broken) as server:
        assert [completion.error for completion in constrained(server, 2, concurrency=1)] == [NO_COMPLETION] * 2
    assert ["response_format" in call.body for call in server.calls] == [True, False, False] * 2
    assert not caplog.records


# Log-probabilities


TOKENS = {"A": -0.5, " A": -2.0, "B": -1.5, "The": -4.0}
WANTED = Sampling(top_logprobs=20)


def lettered(call: Call) -> Reply:
    return completion("A", logprobs=first_token(TOKENS, "A") if call.body.get("logprobs") else None)


def test_log_probabilities_are_asked_for_where_they_are_wanted_and_read() -> None:
    with FaultServer(lettered) as server, engine_for(server) as engine:
        wanted, plain = answers_of(engine, questions(2), [WANTED, Sampling()])
    assert dict(wanted.logprobs or {}) == TOKENS
    assert plain.logprobs is None
    asked = {call.question: (call.body.get("logprobs"), call.body.get("top_logprobs")) for call in server.calls}
    assert asked == {"question 0": (True, 20), "question 1": (None, None)}


def test_words_change_no_request_and_a_server_without_log_probabilities_gives_none() -> None:
    wanted = replace(WANTED, words=("support", "oppose"))
    with FaultServer(lettered) as server, engine_for(server) as engine:
        (answer,) = answers_of(engine, questions(1), wanted)
        assert dict(answer.logprobs or {}) == TOKENS
        answers_of(engine, questions(1), WANTED)
    assert server.calls[0].body == server.calls[1].body
    for nothing in (None, {}, {"content": None}, {"content": []}, {"content": [{"token": "A"}]}, [], "none"):
        with (
            FaultServer(lambda _, nothing=nothing: completion("A", logprobs=nothing)) as server,
            engine_for(server) as engine,
        ):
            (answer,) = answers_of(engine, questions(1), wanted)
        assert (answer.text, answer.logprobs) == ("A", None)


@pytest.mark.parametrize(
    ("logprobs", "read"),
    [
        (None, None),
        ({}, None),
        ({"content": None}, None),
        ({"content": []}, None),
        ({"content": [{}]}, None),
        ({"content": [{"token": "B", "logprob": -1}]}, {"B": -1}),
        ({"content": [{"token": "B", "logprob": -1, "top_logprobs": None}]}, {"B": -1}),
        ({"content": [{"token": "B", "logprob": -1, "top_logprobs": ["x", {"token": "A"}, {"token": 3}]}]},
         {"B": -1}),
        (first_token({"A": -0.1, "B": -9999.0, "C": -math.inf, "D": math.nan}, "A"), {"A": -0.1}),
        (first_token({"A": -0.1}, "Z"), {"A": -0.1, "Z": -30.0}),
        (first_token({"A": -0.1, "\ud83d": -3}, "A"), {"A": -0.1, "\ufffd": -3}),
        ({"content": [{"token": "A", "logprob": -1, "top_logprobs": [{"token": "A", "logprob": -1}] * 2}]},
         {"A": pytest.approx(math.log(2) - 1)}),
    ],
)  # fmt: skip
def test_log_probabilities_of_any_form_are_read_or_none(logprobs: object, read: object) -> None:
    completed = read_completion(completion("A", logprobs=logprobs).body.decode(), "")
    assert completed is not None
    assert (completed.text, completed.logprobs) == ("A", read)


def test_what_a_model_thinks_first_is_no_distribution_of_answers() -> None:
    for message, answer_after in (({}, "</think>"), ({"reasoning_content": "Hm."}, ""), ({"reasoning": "Hm."}, "")):
        body = completion("A", logprobs=first_token(TOKENS, "A"), **message).body.decode()
        completed = read_completion(body, answer_after)
        assert completed is not None
        assert (completed.text, completed.logprobs) == ("A", None)


@pytest.mark.parametrize("status", [400, 422, 501])
@pytest.mark.parametrize("constraint", [None, RANKING])
def test_a_server_that_refuses_log_probabilities_is_asked_without_from_then_on(
    constraint: Constraint | None, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(call: Call) -> Reply:
        return refusal(status, "logprobs are not supported") if "logprobs" in call.body else echo(call)

    with FaultServer(answer) as server, engine_for(server, concurrency=1) as engine:
        completions = answers_of(engine, questions(5), replace(WANTED, constraint=constraint))
    assert [(one.text, one.logprobs) for one in completions] == [(f"question {i}", None) for i in range(5)]
    assert ["logprobs" in call.body for call in server.calls] == [True] + [False] * 5
    assert ["response_format" in call.body for call in server.calls] == [constraint is not None] * 6
    (record,) = caplog.records
    assert "refuses log-probabilities (status" in record.message


@pytest.mark.parametrize(
    ("refused", "left"), [({"response_format"}, {"logprobs"}), ({"response_format", "logprobs"}, set())]
)
def test_structured_output_may_be_what_is_refused_or_both(
    refused: set[str], left: set[str], caplog: pytest.LogCaptureFixture
) -> None:
    def answer(call: Call) -> Reply:
        return refusal(400, "no") if refused & call.body.keys() else lettered(call)

    with FaultServer(answer) as server, engine_for(server, concurrency=1) as engine:
        completions = answers_of(engine, questions(3), replace(WANTED, constraint=RANKING))
    assert [bool(one.logprobs) for one in completions] == [bool(left)] * 3
    asked = [call.body.keys() & {"response_format", "logprobs"} for call in server.calls]
    assert asked[-2:] == [left, left]
    assert len(asked) == (5 if left else 6)
    assert len(caplog.records) == len(refused)


# What ends a batch


def line_of(error: pytest.ExceptionInfo[InputError]) -> str:
    line = str(error.value)
    assert "\n" not in line
    assert KEY not in line
    return line


def test_a_key_that_is_not_set_is_told_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer() as server:
        settings = ServerModel(base_url=server.url, api_key_env="NO_SUCH_KEY")
        for content in (None, "", "  \n"):
            monkeypatch.delenv("NO_SUCH_KEY", raising=False)
            if content is not None:
                monkeypatch.setenv("NO_SUCH_KEY", content)
            with pytest.raises(InputError, match="NO_SUCH_KEY is not set"):
                settings.start()
        monkeypatch.setenv("NO_SUCH_KEY", "sk-ключ")
        with pytest.raises(InputError, match="NO_SUCH_KEY holds characters that no key has"):
            settings.start()
    assert server.lists == 0


def test_no_key_is_sent_where_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"Authorization: Bearer {KEY}")
    with FaultServer() as server, engine_for(server) as engine:
        answers_of(engine, questions(1), Sampling())
    headers = server.calls[0].headers
    assert "authorization" not in headers
    assert "openai-organization" not in headers
    assert KEY not in str(headers)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_told_by_its_variable_and_not_by_itself(
    status: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MY_KEY", f" {KEY}\n")
    caplog.set_level(logging.DEBUG)
    words = refusal(status, f"Incorrect API key provided: {KEY}.\nSee the docs.")
    with FaultServer(lambda _: words, models=words) as server:
        settings = ServerModel(base_url=server.url, api_key_env="MY_KEY")
        with pytest.raises(InputError, match="refuses the key in MY_KEY") as at_start:
            settings.start()
        assert "***" in line_of(at_start)
        server.models = model_list("m")
        engine = settings.start()
        with pytest.raises(InputError, match="refuses the key in MY_KEY") as in_the_midst:
            answers_of(engine, questions(50), Sampling())
        assert "***" in line_of(in_the_midst)
        assert KEY not in caplog.text + repr(settings) + repr(engine) + str(settings.identity())
        engine.close()


def test_a_server_that_wants_a_key_says_how_to_give_one() -> None:
    with (
        FaultServer(models=refusal(401, "who are you?")) as server,
        pytest.raises(InputError, match="set llm.api_key_env"),
    ):
        ServerModel(base_url=server.url).start()


def test_a_key_that_may_not_list_models_may_still_chat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    with (
        FaultServer(models=refusal(403, "Missing scopes: api.model.read")) as server,
        engine_for(server, model="m", api_key_env="MY_KEY") as engine,
    ):
        assert answers_of(engine, questions(1), Sampling())[0].text == "question 0"


def test_a_text_that_a_server_finds_offensive_fails_alone() -> None:
    def guarded(call: Call) -> Reply:
        refused = Reply(b'{"code": "no", "error": "Content violates usage guidelines. SAFETY_CHECK_TYPE_BIO"}', 403)
        return refused if call.question == "question 1" else echo(call)

    completions = ask(guarded, 3)
    assert [completion.error[:30] for completion in completions] == ["", "status 403: Content violates u", ""]


def test_a_model_that_is_not_there_is_told_with_the_nearest_one() -> None:
    models = model_list("alpha-7b", "qwen3-32b", "zeta")
    for words in (refusal(404, "The model `x` does not exist."), refusal(400, "no", "model_not_found")):
        with (
            FaultServer(lambda _, words=words: words, models=models) as server,
            engine_for(server, model="qwen3-23b") as engine,
            pytest.raises(
                InputError, match=r"has no model 'qwen3-23b'.*did you mean 'qwen3-32b'\? Known: qwen3-32b"
            ) as error,
        ):
            answers_of(engine, questions(20), Sampling())
    assert "alpha-7b" in line_of(error)


def test_a_model_that_is_not_there_is_told_without_a_list_too() -> None:
    with (
        FaultServer(lambda _: Reply(b"<html>Not Found</html>", 404), models=Reply(b"Not Found", 404)) as server,
        engine_for(server, model="m") as engine,
        pytest.raises(InputError, match="mostly ends in /v1"),
    ):
        answers_of(engine, questions(1), Sampling())


TOO_LONG = [
    refusal(400, "no", "context_length_exceeded"),
    refusal(400, "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens"),
    refusal(400, "The decoder prompt (length 5000) is longer than the maximum model length of 4096."),
    refusal(400, "This model's maximum prompt length is 131072 but the request contains 200000 tokens."),
    refusal(400, "the request exceeds the available context size", "exceed_context_size_error"),
    Reply(
        b'[{"error": {"code": 400, "message": "The input token count (9) exceeds the maximum number of tokens"}}]', 400
    ),
    refusal(413, "Request too large for model"),
]


@pytest.mark.parametrize("words", TOO_LONG)
def test_a_prompt_that_does_not_fit_is_told_by_its_index(words: Reply) -> None:
    def answer(call: Call) -> Reply:
        return words if call.question == "question 7" else echo(call)

    told: list[tuple[int, Completion]] = []
    with (
        FaultServer(answer) as server,
        engine_for(server, concurrency=1) as engine,
        pytest.raises(PromptTooLong) as error,
    ):
        told.extend(engine.stream(questions(20), Sampling(constraint=RANKING)))
    assert error.value.index == 7
    assert error.value.detail
    assert [index for index, _ in told] == list(range(7))
    # It was not asked again without the form, and nothing was asked after it.
    assert len(server.calls) == 8


def test_a_schema_name_that_is_too_long_is_no_long_prompt() -> None:
    words = "Invalid 'response_format.json_schema.name': string too long. Expected maximum length 64"
    assert ask(lambda _: refusal(400, words)) == [Completion("", error=f"status 400: {words}")]


def test_an_engine_goes_on_after_a_batch_that_ended_badly() -> None:
    replies = iter([refusal(401, "not now")])
    with FaultServer(lambda call: next(replies, None) or echo(call)) as server, engine_for(server) as engine:
        with pytest.raises(InputError):
            answers_of(engine, questions(1), Sampling())
        assert answers_of(engine, questions(1), Sampling())[0].text == "question 0"


# What a server lists


def test_the_only_model_of_a_server_is_taken_and_asked_for_once() -> None:
    with FaultServer(models=model_list("the-one")) as server:
        settings = ServerModel(base_url=server.url)
        assert settings.identity()["model"] == "the-one"
        engine = settings.start()
        answers_of(engine, questions(2), Sampling())
        engine.close()
    assert server.lists == 1
    assert {call.body["model"] for call in server.calls} == {"the-one"}


def test_of_several_models_one_must_be_named() -> None:
    with (
        FaultServer(models=model_list("a", "b")) as server,
        pytest.raises(InputError, match="lists 2 models; choose one with llm.model=NAME: a, b"),
    ):
        ServerModel(base_url=server.url).start()
    with (
        FaultServer(models=Reply(b"", 404)) as server,
        pytest.raises(InputError, match="lists no models; name one with llm.model=NAME"),
    ):
        ServerModel(base_url=server.url).identity()


LISTS = [
    Reply(b"", 404),
    Reply(b"", 405),
    Reply(b"", 501),
    Reply(b'{"models": 3}'),
    Reply(b'[{"id": "m"}]'),
    Reply(b'{"data": [7, {"id": 7}]}'),
]


@pytest.mark.parametrize("models", LISTS)
def test_a_server_without_a_list_is_asked_all_the_same(models: Reply) -> None:
    with FaultServer(models=models) as server, engine_for(server, model="m") as engine:
        assert answers_of(engine, questions(1), Sampling())[0].text == "question 0"


@pytest.mark.parametrize("models", [Reply(b"<html>Welcome</html>"), Reply(b"", 500)])
def test_an_address_that_is_no_such_server_is_told(models: Reply) -> None:
    with FaultServer(models=models) as server, pytest.raises(InputError, match=re.escape(f"GET {server.url}/models")):
        ServerModel(base_url=server.url, model="m", max_retries=0).start()


def test_a_dead_server_is_told_with_what_was_tried() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with pytest.raises(InputError, match=re.escape(f"GET {url}/models: ") + ".*is the server running") as error:
            ServerModel(base_url=url, max_retries=0).start()
    line_of(error)


def test_a_server_that_drips_its_list_is_told() -> None:
    with FaultServer(models=Reply(how="drip")) as server, pytest.raises(InputError, match="no answer within 0.2 s"):
        ServerModel(base_url=server.url, max_retries=0, timeout=0.2).start()


# Settings


def test_identity_holds_what_decides_and_asks_nobody() -> None:
    settings = ServerModel(model="m", base_url="https://nowhere.invalid/v1/", api_key_env="MY_KEY", concurrency=3)
    assert settings.identity() == {
        "engine": "openai",
        "model": "m",
        "revision": None,
        "base_url": "https://nowhere.invalid/v1",
        "structured_outputs": "auto",
        "token_limit_key": "max_tokens",
        "reasoning_tokens": 0,
        "answer_after": "",
        "extra_body": None,
    }
    assert json.dumps(settings.identity())


def test_settings_stay_equal_whether_or_not_the_server_was_asked() -> None:
    with FaultServer() as server:
        asked, fresh = ServerModel(base_url=server.url), ServerModel(base_url=server.url)
        asked.identity()
        assert asked == fresh


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"base_url": f"http://me:{KEY}@host/v1"}, "base_url: holds a user name or password"),
        ({"base_url": "localhost:8000/v1"}, "base_url: 'localhost:8000/v1' is no address of a server"),
        ({"base_url": f"http://host/v1?key={KEY}"}, "base_url: 'http://host/v1' is no address of a server"),
        ({"base_url": "http://host:port/v1"}, "base_url: is no URL"),
        ({"api_key_env": KEY}, "api_key_env: give the NAME of an environment variable"),
        ({"concurrency": 0}, "concurrency=0"),
        ({"extra_body": {"stream": True}}, "extra_body: 'stream' is set for each request"),
        ({"extra_body": {"a": float("nan")}}, "extra_body: holds something that JSON has no word for"),
        ({"api_key": KEY}, "ServerModel: unknown setting 'api_key'"),
    ],
)
def test_wrong_settings_are_told_without_secrets(given: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=re.escape(told)) as error:
        built({"_target_": "valueflow.llm.ServerModel", "base_url": "http://localhost/v1", **given})
    line_of(error)


def options_of(name: str) -> dict[str, Any]:
    return {key: setting for key, setting in compose_group("llm", name).items() if not key.startswith("_")}


def test_the_yaml_lists_every_field_with_its_default() -> None:
    text = (CONFIG_DIR / "llm" / "openai.yaml").read_text(encoding="utf-8")
    defaults = {name: field.default for name, field in ServerModel.model_fields.items() if not field.is_required()}
    listed = {key: setting for key, setting in yaml.safe_load(text).items() if not key.startswith("_")}
    assert listed == defaults | {"model": "???", "base_url": "???"}
    assert all(re.match(rf"{key}: .+ # .+", line) for key, line in zip(listed, text.splitlines()[3:], strict=True))


@pytest.mark.parametrize("name", ["local", "gpt", "gemini", "grok"])
def test_each_named_server_is_complete(name: str) -> None:
    model = ServerModel.checked(options_of(name))
    assert set(options_of(name)) == set(ServerModel.model_fields)
    assert (CONFIG_DIR / "llm" / f"{name}.yaml").read_text(encoding="utf-8").startswith("# ")
    assert (model.model is None) == (name == "local") == (model.api_key_env is None)


# Callers


def test_completions_are_told_before_the_batch_ends() -> None:
    heard = threading.Event()

    def last_waits(call: Call) -> Reply:
        # The last answer leaves only after the first has been told of.
        return echo(call) if call.question != "question 1" or heard.wait(30) else refusal(500, "nobody heard")

    with FaultServer(last_waits) as server, engine_for(server) as engine:
        for index, answered in engine.stream(questions(2), Sampling()):
            assert answered.text == f"question {index}"
            heard.set()
    assert heard.is_set()


def test_it_works_where_an_event_loop_runs_already() -> None:
    async def cell() -> list[Completion]:
        return ask(echo, 3)

    assert [completion.text for completion in asyncio.run(cell())] == [f"question {i}" for i in range(3)]


def test_connections_live_on_between_batches() -> None:
    with FaultServer() as server, engine_for(server, concurrency=1) as engine:
        accepted: list[object] = []
        get_request = server.get_request
        server.get_request = lambda: accepted.append(0) or get_request()  # type: ignore[method-assign,func-returns-value]
        for _ in range(3):
            answers_of(engine, questions(2), Sampling())
    assert len(accepted) == 1


def test_closing_twice_does_no_harm_and_leaves_no_thread() -> None:
    with FaultServer() as server:
        before = threading.active_count()
        engine = ServerModel(base_url=server.url).start()
        engine.close()
        engine.close()
        assert "server" not in {thread.name for thread in threading.enumerate()}
        assert threading.active_count() <= before + 1


INTERRUPTED = """
import signal
# Where a job is started in the background, shells have it ignore interrupts, and its children too.
signal.signal(signal.SIGINT, signal.default_int_handler)
import sys
from valueflow.llm import Sampling
from valueflow.llm import ServerModel

engine = ServerModel(base_url=sys.argv[1], concurrency=4).start()
conversations = [[{"role": "user", "content": str(index)}] for index in range(1000)]
try:
    for index, _ in engine.stream(conversations, Sampling()):
        print(index, flush=True)
except KeyboardInterrupt:
    engine.close()
    print("interrupted", flush=True)
"""


def test_an_interrupt_stops_the_asking() -> None:
    with FaultServer(delayed(echo, 0.05)) as server:
        process = subprocess.Popen(
            [sys.executable, "-c", INTERRUPTED, server.url],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert rest.endswith("interrupted\n")
    assert len(server.calls) < 1000


# The fault server itself, as other tests use it


@pytest.mark.slow
def test_the_server_as_a_process_logs_what_came_and_what_went(tmp_path: Path) -> None:
    port_file, log = tmp_path / "port", tmp_path / "log.jsonl"
    process = subprocess.Popen(
        [
            *(sys.executable, Path(__file__).with_name("fault_server.py"), "--port-file", port_file, "--log", log),
            *("--faults", "0.3", "--seed", "1", "--delay", "0.001", "--answer", "permutation"),
        ]
    )
    try:
        while not port_file.exists():
            assert process.poll() is None
            time.sleep(0.02)
        settings = ServerModel(base_url=f"http://127.0.0.1:{port_file.read_text()}/v1", timeout=0.5)
        engine = settings.start()
        lists: list[Conversation] = [[{"role": "user", "content": f'{n}:\n1. "a"\n2. "b"\n3. "c"'}] for n in range(20)]
        first = answers_of(engine, lists, Sampling())
        second = answers_of(engine, lists, Sampling())
        engine.close()
    finally:
        process.kill()
        process.wait()
    assert [sorted(json.loads(completion.text)) for completion in first] == [[1, 2, 3]] * 20
    assert [completion.text for completion in first] == [completion.text for completion in second]
    assert len({completion.text for completion in first}) > 1
    events = [json.loads(line) for line in log.read_text().splitlines()]
    sent = Counter(event["digest"] for event in events if event["event"] == "sent")
    arrived = Counter(event["digest"] for event in events if event["event"] == "arrived")
    assert len(sent) == 20
    assert arrived.total() > sent.total() >= 40


@pytest.mark.parametrize("kind", ["string", "array"])
def test_the_server_ranks_as_the_schema_says(kind: str) -> None:
    constraint = Constraint("r", "", {"properties": {"ranking": {"type": kind}}})
    asked: list[Conversation] = [
        [
            {"role": "user", "content": '1. "a"\n2. "b"\n3. "c"\n4. "d"'},
            {"role": "assistant", "content": "no"},
            {"role": "user", "content": "again"},
        ]
    ]
    with FaultServer(permutation) as server, engine_for(server) as engine:
        (answered,) = answers_of(engine, asked, Sampling(constraint=constraint))
    ranking = json.loads(answered.text)["ranking"]
    assert isinstance(ranking, str) == (kind == "string")
    assert sorted(map(int, ranking.split() if kind == "string" else ranking)) == [1, 2, 3, 4]


def test_a_server_that_has_gone_ends_the_batch_and_keeps_what_it_had_said() -> None:
    told: list[tuple[int, Completion]] = []

    def until_gone(call: Call) -> Reply:
        if call.number < 20:
            return echo(call)
        server.socket.close()
        return Reply(how="drop")

    conversations = [[{"role": "user", "content": str(n)}] for n in range(500)]
    with FaultServer(until_gone) as server, engine_for(server, concurrency=4) as engine:
        with pytest.raises(InputError, match=r"GET .*/models: .*is the server running"):
            told.extend(engine.stream(conversations, Sampling()))
        server.stopping.set()
    assert sum(not completion.error for _, completion in told) == 20
    assert len(told) < 40


def test_a_server_that_only_hangs_is_given_up() -> None:
    with (
        FaultServer(lambda call: Reply(how="hang")) as server,
        engine_for(server, concurrency=3, timeout=0.2) as engine,
    ):
        conversations = [[{"role": "user", "content": str(n)}] for n in range(200)]
        with pytest.raises(InputError, match="answered none of the last [4-6] calls .no answer within 0.2 s"):
            answers_of(engine, conversations, Sampling())
        assert len(server.calls) < 20


def test_a_used_up_quota_ends_the_run() -> None:
    def answer(call: Call) -> Reply:
        return refusal(429, "You exceeded your current quota", "insufficient_quota") if call.number > 4 else echo(call)

    with FaultServer(answer) as server, engine_for(server, concurrency=2) as engine:
        conversations = [[{"role": "user", "content": str(n)}] for n in range(100)]
        with pytest.raises(InputError, match="takes no more calls .*insufficient_quota"):
            answers_of(engine, conversations, Sampling())
        assert len(server.calls) < 12


@pytest.mark.parametrize("finish", ["error", "content_filter"])
def test_what_went_wrong_behind_the_server_is_no_answer(finish: str) -> None:
    with FaultServer(lambda call: completion("", finish)) as server, engine_for(server) as engine:
        (answer,) = answers_of(engine, [[{"role": "user", "content": "x"}]], Sampling())
    assert answer.error == f"finish_reason {finish}"
