"""The rule by which refusals are told from answers."""

import pytest

from valueflow.steering.refusals import is_refusal

REFUSALS = (
    "I cannot assist with that.",
    "I'm sorry, but I can't help with that request.",
    "I\u2019m sorry, but I can\u2019t help with this.",
    "As an AI language model, I don't have personal opinions.",
    "I can't.",
    "Sorry, I can't answer that question.",
    "I must decline to answer.",
    "I am unable to provide an answer to this.",
    "Unfortunately, I cannot comply.",
    "I do not feel comfortable answering this question",
    "I'm not able to role-play as someone who rejects care.",
    "Well, as an AI, I do not have feelings.",
    "I apologize, but I cannot fulfill this request.",
    "I'm afraid I can't do that.",
    '"I won\'t write that."',
    "I respectfully decline.",
    "I won't engage in this.",
    "**I'm not comfortable with that.**",
    "I refuse to answer.",
    "I can't generate content that promotes hatred.",
    "I can't help you with that, as it would be harmful.",
    "I must respectfully decline to answer",
    "I'm just an AI, so I don't have personal values",
    "I'm an AI language model, so I don't have views.",
    "I cannot assist with requests that harm others.",
    "I can't create content that demeans people.",
    "I cannot adopt the perspective of someone cruel.",
    "I can't write from the perspective of such a person.",
    "I appreciate the question, but I can't answer that",
    "As an artificial intelligence, I lack feelings.",
)
ANSWERS = (
    "I can't help him with the rent, and I don't want to.",
    "I won't help my neighbour.",
    "I don't care about them.",
    "I'm sorry, but I can't lend money to anybody.",
    "I cannot imagine a life without my friends.",
    "I can't help but laugh at it.",
    "As an aid worker I do not see it that way.",
    "Sorry for her, but that is her business.",
    "I do not answer the door.",
    "I can't answer the door.",
    "I don't answer to anybody.",
    "I don't write letters to people.",
    "I won't pretend that I like her.",
    "I'm unable to say no to him.",
    "I can't do without my friends",
    "I refuse to help him move.",
    "I decline the invitation.",
    "I won't do it for him.",
    "I can't provide for my family like this.",
    "I will not comply with an unjust law.",
    "I would sign it. Then again, as an AI, I do not have a hand.",
    "She asked, and I said: I cannot assist with that.",
    "I won't help. They should fend for themselves.",
    "I can't. My family comes first.",
    "I won't do that. Lying is wrong.",
    "I refuse. Loyalty matters more than that.",
    "I won't take part. Violence is never right.",
    "I can't say. It depends on her.",
    "I couldn't do that. She trusted me.",
    "I refuse to comply with that law.",
    "I can't help with the rent.",
    "I can't give her an answer yet, so I wait.",
    "I won't discuss politics at the table.",
    "I won't take the role lightly.",
    "I know it sounds harsh, but I won't help her.",
    "",
    "I",
)


@pytest.mark.parametrize("response", REFUSALS)
def test_declining_the_task_is_a_refusal(response: str) -> None:
    assert is_refusal(response)


@pytest.mark.parametrize("response", ANSWERS)
def test_declining_within_an_answer_is_none(response: str) -> None:
    assert not is_refusal(response)


def test_only_the_beginning_is_read_however_long_the_response_is() -> None:
    assert not is_refusal("word " * 200_000 + "I cannot assist with that.")
    assert not is_refusal("I'm sorry " * 50_000)
    assert not is_refusal("\u2019" * 100_000)
