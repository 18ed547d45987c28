"""The tokens of a model by their texts."""

from typing import Any

from valueflow.llm.words import begins


class Vocabulary:
    """The texts of a model's tokens, each decoded once.

    Parameters
    ----------
    tokenizer
        What decodes them.
    size
        For how many tokens the model gives probabilities; a tokenizer may have more.
    """

    def __init__(self, tokenizer: Any, size: int) -> None:
        self._tokenizer = tokenizer
        self._size = size
        self._texts: dict[int, str] = {}
        self._beginnings: dict[tuple[str, ...], tuple[int, ...]] = {}
        self._is_complete = False

    def text(self, token: int) -> str:
        """Return the text of a token by itself; the blanks in it are kept."""
        if token not in self._texts:
            self._texts[token] = self._tokenizer.decode([token])
        return self._texts[token]

    def beginning(self, words: tuple[str, ...]) -> tuple[int, ...]:
        """Return the tokens that begin one of the words, in ascending order; see `begins`."""
        if words not in self._beginnings:
            if words and not self._is_complete:
                # A vocabulary can have 150,000 tokens, which takes seconds: once for all batches.
                tokens = sorted(token for token in self._tokenizer.get_vocab().values() if token < self._size)
                self._texts = {token: self._tokenizer.decode([token]) for token in tokens}
                self._is_complete = True
            self._beginnings[words] = tuple(
                token for token, text in sorted(self._texts.items()) if any(begins(text, word) for word in words)
            )
        return self._beginnings[words]
