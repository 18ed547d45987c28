"""What servers say in words of their own: errors behind status 200, parts, filters, money, keys they do not take."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.llm.fault_server import Call, FaultServer, Reply, completion, echo, refusal
from tests.llm.test_server import RANKING, answers_of, ask, engine_for, line_of, questions
from valueflow.llm import CUT_IN_THOUGHTS, Completion, Sampling
from valueflow.llm.engines.server.answers import read_completion
from valueflow.llm.engines.server.engine import NO_COMPLETION
from valueflow.llm.engines.server.errors import status_within
from valueflow.run import InputError


def body(**fields: Any) -> Reply:
    return Reply(json.dumps(fields).encode())


def choice(content: object, finish_reason: str = "stop", **fields: Any) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": content, **fields}, "finish_reason": finish_reason}


# ---- Errors behind status 200

PASSING = [
    body(id=None, choices=None, error={"message": "Slow down, please", "code": 429}),
    body(error={"message": "Slow down, please", "code": "429"}),
    body(error={"message": "Slow down, please", "type": "rate_limit_error"}),
    body(error={"message": "The upstream is overloaded", "code": 502}),
    body(error={"message": "The upstream is overloaded", "code": None}),
    body(error="The model is overloaded"),
    body(choices=[], error={"message": "Internal server error"}),
    body(choices=[choice("half an", "error") | {"error": {"message": "Upstream broke", "code": 502}}]),
    body(choices=[choice("half an") | {"error": {"message": "Upstream broke", "code": 503}}]),
]


@pytest.mark.parametrize("words", PASSING)
@pytest.mark.slow
def test_a_passing_error_behind_status_200_is_waited_for(words: Reply) -> None:
    begin = time.monotonic()
    (answered,) = ask(lambda call: echo(call) if call.attempt > 1 else words, max_retries=1)
    assert answered.text == "question 0"
    # The client waits as after an HTTP 429: half a second, less a quarter at random.
    assert time.monotonic() - begin > 0.3


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (PASSING[0], "status 429: Slow down, please"),
        (PASSING[3], "status 502: The upstream is overloaded"),
        (PASSING[5], "status 503: The model is overloaded"),
        (PASSING[7], "status 502: Upstream broke"),
        (body(error={"message": "Provider returned error", "code": 400}), "status 400: Provider returned error"),
        (body(error={"message": "No such thing"}), "status 400: No such thing"),
        (
            body(error={"message": "Requests of req_8f21 at 12:30:01 too many", "code": 429}),
            "status 429: Requests of ... at ... too many",
        ),
    ],
)
def test_an_error_that_stays_is_told_in_the_server_s_words(words: Reply, reason: str) -> None:
    assert ask(lambda _: words) == [Completion("", error=reason)]


def test_an_error_behind_status_200_may_end_the_run() -> None:
    for code, told in ((401, "asks for a key"), (402, "takes no more calls"), (404, "has no model")):
        with pytest.raises(InputError, match=told):
            ask(lambda _, code=code: body(error={"message": "no", "code": code}), 5)


def test_answers_that_speak_of_errors_are_answers() -> None:
    for fields in ({"error": None}, {"error": {}}, {"error": ""}, {}):
        reply = body(choices=[choice('{"error": {"code": 500}}')], **fields)
        assert ask(lambda _, reply=reply: reply)[0].text == '{"error": {"code": 500}}'
    assert ask(lambda _: body(choices=[choice("yes") | {"error": None}]))[0].text == "yes"


KEYS = st.sampled_from(
    [
        *("choices", "message", "content", "error", "code", "type", "text", "finish_reason", "refusal", "usage"),
        *("prompt_filter_results", "content_filter_results", "filtered"),
    ]
)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.sampled_from(["429", "overloaded", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
)


@given(ANY_JSON)
def test_no_body_breaks_the_readers(answer: object) -> None:
    text = json.dumps(answer)
    status = status_within(text.encode())
    assert status is None or 400 <= status < 600
    read = read_completion(text, "")
    assert read is None or isinstance(read.text, str)
    assert not (read and read.error and read.text)


def test_nested_bodies_break_nothing() -> None:
    for text in ('{"error": ' * 50_000, '{"error": ' + "[" * 100_000, '{"error": "' + "x" * 10**6):
        assert status_within(text.encode()) is None


# ---- Content in parts


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([{"type": "text", "text": "[2, 1]"}], "[2, 1]"),
        (
            [
                {"type": "thinking", "thinking": [{"type": "text", "text": "[1, 2]?"}]},
                {"type": "text", "text": "[2, 1]"},
            ],
            "[2, 1]",
        ),
        (
            [
                {"type": "reasoning", "text": "Hm."},
                {"type": "output_text", "text": "[2,"},
                {"type": "text", "text": " 1]"},
            ],
            "[2, 1]",
        ),
        ([{"type": "text", "text": "<think>Hm.</think>[2, 1]"}], "[2, 1]"),
        ([{"type": "reference", "reference_ids": [1]}, {"type": "text", "text": "[2, 1]"}], "[2, 1]"),
        ({"type": "text", "text": "[2, 1]"}, "[2, 1]"),
        (["[2, ", "1]"], "[2, 1]"),
        ([], ""),
    ],
)
def test_the_text_parts_of_an_answer_are_the_answer(content: object, said: str) -> None:
    assert ask(lambda _: body(choices=[choice(content)])) == [Completion(said)]


@pytest.mark.parametrize("content", [7, True, [3], [[]], {"text": "x"}, [{"text": "x"}]])
def test_content_of_no_known_form_is_no_completion(content: object) -> None:
    assert ask(lambda _: body(choices=[choice(content)])) == [Completion("", error=NO_COMPLETION)]


# ---- Thoughts and limits


@pytest.mark.parametrize(
    ("content", "fields", "usage"),
    [
        (None, {"reasoning_content": "The user wants"}, {}),
        ("", {"reasoning": "The user wants"}, {}),
        (None, {}, {"completion_tokens_details": {"reasoning_tokens": 50}}),
        (None, {}, {}),
        ("<think>The user wants", {}, {}),
        ([{"type": "thinking", "thinking": "The user wants"}], {}, {}),
    ],
)
def test_an_answer_cut_among_thoughts_says_so(content: object, fields: dict[str, Any], usage: dict[str, Any]) -> None:
    reply = body(choices=[choice(content, "length", **fields)], usage=usage)
    (answered,) = ask(lambda _: reply)
    assert (answered.text, answered.error) == ("", CUT_IN_THOUGHTS)
    assert "raise llm.reasoning_tokens" in answered.error


def test_an_answer_cut_among_thoughts_shows_that_it_was_the_form_that_is_refused() -> None:
    def answer(call: Call) -> Reply:
        return refusal(400, "no forms") if "response_format" in call.body else completion("<think>Hm", "length")

    with FaultServer(answer) as server, engine_for(server, concurrency=1) as engine:
        answers_of(engine, questions(3), Sampling(constraint=RANKING))
    assert ["response_format" in call.body for call in server.calls] == [True, False, False, False]


# ---- Filters and refusals


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (
            body(
                choices=[],
                prompt_filter_results=[
                    {
                        "content_filter_results": {
                            "violence": {"filtered": True},
                            "hate": {"filtered": False},
                            "jailbreak": {"filtered": True},
                        }
                    }
                ],
            ),
            "content filter: violence, jailbreak",
        ),
        (body(choices=None, promptFeedback={"blockReason": "SAFETY"}), "content filter: SAFETY"),
        (body(promptFeedback={"blockReason": "SAFETY"}), "content filter: SAFETY"),
        (body(choices=[choice("", "content_filter")]), "finish_reason content_filter"),
        (
            body(
                choices=[choice("Half of", "content_filter") | {"content_filter_results": {"hate": {"filtered": True}}}]
            ),
            "finish_reason content_filter: hate",
        ),
        (body(choices=[choice(None, "SAFETY")]), "finish_reason SAFETY"),
        (
            body(choices=[choice("Half of", "insufficient_system_resource")]),
            "finish_reason insufficient_system_resource",
        ),
        (body(choices=[choice(None, refusal="I'm sorry, I can't.")]), "refused: I'm sorry, I can't."),
        (body(choices=[choice([{"type": "refusal", "refusal": "I can't."}])]), "refused: I can't."),
    ],
)
def test_what_a_filter_or_model_refuses_is_told(reply: Reply, reason: str) -> None:
    assert ask(lambda _: reply) == [Completion("", error=reason)]


def test_an_answer_beside_an_empty_refusal_is_an_answer() -> None:
    assert ask(lambda _: body(choices=[choice("yes", refusal=None)])) == [Completion("yes")]
    assert ask(lambda _: body(choices=[choice("yes", refusal="")])) == [Completion("yes")]


# ---- What ends a run


@pytest.mark.parametrize(
    ("status", "message", "code"),
    [
        (402, "Insufficient credits. Add more to continue.", None),
        (402, "Insufficient Balance", "invalid_request_error"),
        (403, "The team has run out of credits or reached its monthly spending limit.", "permission_denied"),
        (429, "You have no credits left", None),
        (429, "Your credit balance is too low", "rate_limit"),
        (429, "no", "insufficient_quota"),
    ],
)
def test_used_up_money_ends_the_run_in_one_line(status: int, message: str, code: str | None) -> None:
    with FaultServer(lambda _: refusal(status, message, code)) as server:
        begin = time.monotonic()
        with engine_for(server, concurrency=2, max_retries=6) as engine, pytest.raises(InputError) as error:
            answers_of(engine, questions(50), Sampling())
        assert time.monotonic() - begin < 5
        assert len(server.calls) <= 4
    assert "takes no more calls" in line_of(error)
    assert f"status {status}" in line_of(error)
    assert message in line_of(error)


def test_used_up_money_is_told_where_the_list_of_models_is_asked_for() -> None:
    with (
        FaultServer(models=refusal(403, "You have run out of credits")) as server,
        pytest.raises(InputError, match="takes no more calls .*run out of credits"),
        engine_for(server),
    ):
        pass


@pytest.mark.parametrize(
    ("status", "message", "setting"),
    [
        (
            400,
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' "
            "instead.",
            "llm.token_limit_key=max_completion_tokens",
        ),
        (
            400,
            "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is "
            "supported.",
            "llm.extra_body={temperature:null}",
        ),
        (400, 'Invalid JSON payload received. Unknown name "seed": Cannot find field.', "llm.extra_body={seed:null}"),
        (422, "`seed` is not supported", "llm.extra_body={seed:null}"),
    ],
)
def test_a_key_that_a_model_does_not_take_is_told_with_its_setting(status: int, message: str, setting: str) -> None:
    with FaultServer(lambda _: refusal(status, message)) as server:
        with engine_for(server, model="m", concurrency=1) as engine, pytest.raises(InputError) as error:
            answers_of(engine, questions(20), Sampling(constraint=RANKING, top_logprobs=5))
        assert len(server.calls) == 1
    assert f"give {setting}" in line_of(error)
    assert "model 'm' does not take the request" in line_of(error)


def test_a_setting_that_is_given_is_taken() -> None:
    def strict(call: Call) -> Reply:
        refused = call.body.keys() & {"max_tokens", "temperature", "seed"}
        return refusal(400, f"Unsupported parameter: '{min(refused)}'") if refused else echo(call)

    given = {"token_limit_key": "max_completion_tokens", "extra_body": {"temperature": None, "seed": None}}
    assert ask(strict, **given)[0].text == "question 0"
