"""Masks against every word of small languages, written out."""

import logging
from collections.abc import Iterable
from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers.decoders import ByteLevel
from transformers import TokenizersBackend
from transformers.convert_slow_tokenizer import bytes_to_unicode

from valueflow.llm import Constraint
from valueflow.llm.engines.constrained import Grammars, TokenMask
from valueflow.llm.engines.drawing import draw

LONGER = ("[1", "12", "2, ", ", 3", "3]", "]]", "1, 2", " 1", "[2, 1", "é", "\n", "[[", "2]\n")
PIECES = [bytes([byte]) for byte in range(256)] + [text.encode() for text in LONGER if len(text.encode()) > 1]
SPELT = bytes_to_unicode()
PERMUTATIONS = {f"[{', '.join(map(str, order))}]" for order in permutations((1, 2, 3))}


def constraint(grammar: str) -> Constraint:
    return Constraint("small", grammar, {})


def every(words: Iterable[str]) -> Constraint:
    return constraint("root ::= " + " | ".join(f'"{word}"' for word in words))


def tokenizer() -> TokenizersBackend:
    """All bytes and some longer tokens, so that a text can be spelt in many ways."""
    tokens = dict.fromkeys(["".join(SPELT[byte] for byte in piece) for piece in PIECES])
    made = Tokenizer(models.BPE({token: place for place, token in enumerate(tokens)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = ByteLevel()
    return TokenizersBackend(tokenizer_object=made, eos_token="[END]", pad_token="[PAD]")


def scores_after(mask: TokenMask, rows: list[list[int]], scores: torch.Tensor) -> torch.Tensor:
    """Scores of the tokens after each row, where the mask has seen its tokens come one by one."""
    prompt = [7, 7]
    for length in range(len(rows[0]) + 1):
        tokens = torch.tensor([prompt + row[:length] for row in rows])
        masked = mask(tokens, scores.expand(len(rows), -1))
    return masked


def allowed_after(mask: TokenMask, row: list[int], width: int) -> set[int]:
    (scores,) = scores_after(mask, [row], torch.zeros(width))
    return set(scores.isfinite().nonzero().flatten().tolist())


GRAMMARS = {
    # Shared rules, repetition and choice of other forms must come to the same words.
    "permutations": (
        'root ::= "[" all\nall ::= "1, " of-23 | "2, " of-13 | "3, " of-12\nof-23 ::= "2, 3]" | "3, 2]"\n'
        'of-13 ::= "1, 3]" | "3, 1]"\nof-12 ::= "1, 2]" | "2, 1]"',
        PERMUTATIONS,
    ),
    "some complete before they end": ('root ::= "1" ("2" "1"?)? | "[1"', {"1", "12", "121", "[1"}),
    "counted": (
        "root ::= [12]{2,3}",
        {"11", "12", "21", "22", *(f"{a}{b}{c}" for a in "12" for b in "12" for c in "12")},
    ),
    "more than a byte": ('root ::= "é" "\\n"?', {"é", "é\n"}),
    "nothing": ('root ::= "" | "2, "', {"", "2, "}),
}


@pytest.mark.parametrize("name", GRAMMARS)
def test_exactly_the_tokens_that_some_word_goes_on_with_are_allowed(name: str) -> None:
    grammar, texts = GRAMMARS[name]
    words = {text.encode() for text in texts}
    words_of = tokenizer()
    grammars = Grammars(words_of, {words_of.eos_token_id})
    complete, met, waiting = set(), {b""}, [(b"", [])]
    while waiting:
        begun, row = waiting.pop()
        mask = grammars.mask([constraint(grammar)])
        assert mask is not None
        allowed = allowed_after(mask, row, len(words_of))
        going_on = {word[len(begun) :] for word in words if word.startswith(begun)}
        viable = {token for token, piece in enumerate(PIECES) if any(rest.startswith(piece) for rest in going_on)}
        if begun in words:
            viable.add(words_of.eos_token_id)
            complete.add(begun)
        # Where only one text can follow, it may be narrowed to the way the tokenizer itself would spell that.
        is_forced = len({rest[:1] for rest in going_on}) == 1
        assert allowed == viable or (is_forced and allowed and allowed < viable), begun
        for token in allowed - {words_of.eos_token_id}:
            longer = begun + PIECES[token]
            if longer not in met:
                met.add(longer)
                waiting.append((longer, [*row, token]))
    assert complete == words


def test_an_end_that_is_a_text_is_allowed_as_an_end_only() -> None:
    words_of = tokenizer()
    one, two = words_of.convert_tokens_to_ids(["1", "2"])
    grammars = Grammars(words_of, {words_of.eos_token_id, two})
    after_one = {words_of.eos_token_id, two, PIECES.index(b"]"), PIECES.index(b"]]")}
    for row, expected in ([], {one, PIECES.index(b"12")}), ([one], after_one):
        mask = grammars.mask([every({"1", "12", "2", "1]]"})])
        assert mask is not None
        assert allowed_after(mask, row, len(words_of)) == expected


def test_rows_go_their_own_ways_and_ended_ones_are_left_alone() -> None:
    words_of = tokenizer()
    one, two, comma, end, pad = (words_of.convert_tokens_to_ids(token) for token in ("1", "2", ",", "[END]", "[PAD]"))
    mask = Grammars(words_of, {end}).mask([every({"1", "12,", "2,"})] * 3)
    assert mask is not None
    scores = torch.randn(len(words_of), generator=torch.Generator().manual_seed(1))
    first, second, third = scores_after(mask, [[one, end, pad], [one, two, comma], [two, comma, end]], scores)
    assert torch.equal(first, scores)
    assert second.isfinite().nonzero().flatten().tolist() == [end]
    assert second[end] == scores[end]
    assert torch.equal(third, scores)


def test_each_row_is_held_to_its_own_constraint(caplog: pytest.LogCaptureFixture) -> None:
    words_of = tokenizer()
    one, two, comma, sharp, end = (words_of.convert_tokens_to_ids(token) for token in ("1", "2", ",", "#", "[END]"))
    scores = torch.randn(len(words_of), generator=torch.Generator().manual_seed(4))
    # One of the ends is a text, so that the vocabulary cannot spell it.
    grammars = Grammars(words_of, {end, sharp})
    stuck, unreadable = Constraint("stuck", 'root ::= "1#"'), Constraint("odd", "root: [")
    with caplog.at_level(logging.WARNING, "valueflow"):
        mask = grammars.mask([every({"12", "1,"}), None, every({"1"}), unreadable, stuck])
        assert mask is not None
        rows = scores_after(mask, [[one], [two], [one], [comma], [one]], scores)
        assert grammars.mask([None, unreadable]) is None
    assert set(rows[0].isfinite().nonzero().flatten().tolist()) == {two, comma}
    assert set(rows[2].isfinite().nonzero().flatten().tolist()) == {end, sharp}
    for row in (1, 3, 4):
        assert torch.equal(rows[row], scores)
    told = [record.getMessage().partition(": ")[0] for record in caplog.records]
    assert told == ["answers are not held to 'odd'", "answers are not held to 'stuck'"]


def test_what_is_not_allowed_never_wins() -> None:
    words_of = tokenizer()
    one = words_of.convert_tokens_to_ids("1")
    for allowed in (-torch.inf, -1e38, 0.0):
        for other in (torch.inf, 3e38, torch.nan):
            mask = Grammars(words_of, {words_of.eos_token_id}).mask([every({"1"})])
            assert mask is not None
            scores = torch.full((len(words_of) + 40,), other)
            scores[one] = allowed
            (masked,) = scores_after(mask, [[]], scores)
            assert masked.argmax() == one
            assert not masked.isnan().any()


@pytest.mark.parametrize("more", [-30, -2, 1, 500])
def test_a_model_may_score_more_or_fewer_tokens_than_there_are(more: int) -> None:
    words_of = tokenizer()
    mask = Grammars(words_of, {words_of.eos_token_id, len(words_of) + 10_000}).mask([every({"1"})])
    assert mask is not None
    assert allowed_after(mask, [], len(words_of) + more) == {words_of.convert_tokens_to_ids("1")}


def test_draws_are_from_the_models_probabilities_of_what_is_allowed() -> None:
    words_of = tokenizer()
    n, temperature = 4000, 0.7
    scores = torch.randn(len(words_of), generator=torch.Generator().manual_seed(2))
    tokens = [words_of.convert_tokens_to_ids(token) for token in ("1", "12", "[", "[1")]
    mask = Grammars(words_of, {words_of.eos_token_id}).mask([every({"12", "[1]"})] * n)
    assert mask is not None
    with_noise = draw([np.random.default_rng(seed) for seed in range(n)], [temperature] * n)
    noisy = with_noise(torch.empty(0), scores.expand(n, -1))
    counts = np.bincount(mask(torch.zeros(n, 1), noisy).argmax(dim=1).numpy(), minlength=len(words_of))
    weights = np.exp(scores[tokens].double().numpy() / temperature)
    assert counts[tokens].sum() == n
    assert chisquare(counts[tokens], n * weights / weights.sum()).pvalue > 0.01


@pytest.mark.parametrize("grammar", ['root ::= "unclosed', "root ::= nowhere", "", 'other ::= "1"', "\x00", "root: ["])
def test_a_grammar_that_cannot_be_read_is_told_once(grammar: str, caplog: pytest.LogCaptureFixture) -> None:
    words_of = tokenizer()
    grammars = Grammars(words_of, {words_of.eos_token_id})
    with caplog.at_level(logging.WARNING, "valueflow"):
        assert grammars.mask([constraint(grammar)] * 2) is None
        assert grammars.mask([constraint(grammar)]) is None
    (record,) = caplog.records
    assert record.getMessage().startswith("answers are not held to 'small': ")
    assert "\n" not in record.getMessage()
    assert grammars.mask([every({"1"})]) is not None


def test_a_tokenizer_that_cannot_be_read_is_told(caplog: pytest.LogCaptureFixture) -> None:
    words_of = tokenizer()
    for unknown, ends in ((object(), {1}), (words_of, set())):
        with caplog.at_level(logging.WARNING, "valueflow"):
            assert Grammars(unknown, ends).mask([every({"1"})]) is None
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
        "Only fast tokenizers are supported",
        "the model names no token that ends an answer",
    ]


def test_rows_that_the_vocabulary_cannot_spell_are_left_alone_from_there_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    words_of = tokenizer()
    one, two, end = (words_of.convert_tokens_to_ids(token) for token in ("1", "2", "[END]"))
    grammars = Grammars(words_of, {end, words_of.convert_tokens_to_ids("3")})
    scores = torch.randn(len(words_of), generator=torch.Generator().manual_seed(3))
    with caplog.at_level(logging.WARNING, "valueflow"):
        for _ in range(2):
            mask = grammars.mask([every({"13", "22"})] * 3)
            assert mask is not None
            stuck, held, stuck_too = scores_after(mask, [[one, two], [two, two], [one, one]], scores)
            assert torch.equal(stuck, scores)
            assert torch.equal(stuck_too, scores)
            assert held.isfinite().nonzero().flatten().tolist() == [end, words_of.convert_tokens_to_ids("3")][::-1]
    assert [record.getMessage() for record in caplog.records] == [
        "answers are not held to 'small': no token of the model goes on with an answer"
    ]
