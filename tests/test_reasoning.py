import pytest
import tiny_models
from hypothesis import given
from strategies import PROPERTY, anything_said

from lm_eval_plugin.dialogue.reasoning import (
    Marks,
    holds_marks,
    mark_texts,
    opened_reasoning,
    part_reply,
    split_reasoning,
)
from lm_eval_plugin.models.chat_format import TemplateFormat

TAGS = ["think", "thinking", "thought", "reasoning", "seed:think", "reflection", "analysis", "scratchpad"]
PAIRS = [
    *((f"<{tag}>", f"</{tag}>") for tag in TAGS),
    ("<think >", "</think >"),
    ("< THINK>", "</ think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
    ("<|channel>thought\n", "<channel|>"),
    ("<unused94>thought\n", "<unused95>"),
    ("Here is my thought process:", "\nHere is my response:"),
]


@pytest.mark.parametrize(("opening", "closing"), PAIRS)
def test_thought_in_any_marks_is_parted(opening, closing):
    assert split_reasoning(f"{opening}7 x 8 is 56{closing}\nIt is B.") == ("It is B.", "7 x 8 is 56")


@pytest.mark.parametrize(("opening", "closing"), PAIRS[:-1])
def test_closing_mark_ends_a_thought_that_the_prompt_opened(opening, closing):
    assert split_reasoning(f"7 x 8 is 56{closing}It is B.") == ("It is B.", "7 x 8 is 56")


@pytest.mark.parametrize(("opening", "closing"), PAIRS[:-1])
def test_opening_mark_in_the_midst_of_a_line_without_an_end_is_shown_and_unclear(opening, closing):
    text = f"Do you mean {opening.strip()} the tag?"
    parted = part_reply(text)
    assert parted.visible == text
    assert parted.unclear


@pytest.mark.parametrize(
    ("text", "visible", "reasoning"),
    [
        ("<|channel|>analysis<|message|>7 x 8<|end|><|start|>assistant<|channel|>final<|message|>B", "B", "7 x 8"),
        ("<|channel|>analysis<|message|>7 x 8<|end|>", "", "7 x 8"),
        ("<|channel|>final<|message|>B<|return|>", "B", ""),
        ("<|channel|>commentary to=x <|constrain|>json<|message|>{}<|call|>", "", "{}"),
        ("analysis7 x 8. assistantfinalB", "B", "7 x 8."),
        ("analysisWe need it.assistantcommentaryHm.assistantfinalB", "B", "We need it.\n\nHm."),
    ],
)
def test_only_the_final_channel_of_harmony_is_said(text, visible, reasoning):
    assert split_reasoning(text) == (visible, reasoning)


@pytest.mark.parametrize("text", ["My analysis: B", "analysis of it", "Analysis shows B.", "The analysis\nis final."])
def test_the_word_analysis_is_no_channel(text):
    parted = part_reply(text)
    assert (parted.visible, parted.reasoning, parted.unclear) == (text, "", False)


def test_beginning_of_a_channel_without_its_end_is_shown_and_unclear():
    parted = part_reply("analysisWe need 7 x 8.")
    assert parted.visible == "analysisWe need 7 x 8."
    assert parted.unclear


def test_marks_around_the_response_are_left_out_behind_a_thought():
    text = "<|START_THINKING|>7 x 8<|END_THINKING|><|START_RESPONSE|>B<|END_RESPONSE|>"
    assert split_reasoning(text) == ("B", "7 x 8")


def test_marks_that_a_template_declares_are_parted():
    declared = (Marks("<<hm>>", "<</hm>>"),)
    assert split_reasoning("<<hm>>7 x 8<</hm>>B", declared) == ("B", "7 x 8")
    assert split_reasoning("<<hm>>7 x 8<</hm>>B") == ("<<hm>>7 x 8<</hm>>B", "")


@pytest.mark.parametrize(("opening", "closing"), PAIRS[:-1])
def test_prompt_that_opens_a_thought_is_known(opening, closing):
    assert opened_reasoning(f"user\nWhich?\nassistant\n{opening.rstrip()}\n") == opening.rstrip()
    assert opened_reasoning(f"user\nWhich?\n{opening}a{closing}") == ""


def test_marks_that_may_be_special_tokens_are_told():
    assert {"<think>", "</think>", "[THINK]", "<|channel|>", "<|END_THINKING|>", "<unused94>"} <= mark_texts()


def test_marks_are_found_wherever_they_stand():
    assert holds_marks("so </think> it is")
    assert not holds_marks("so I think it is")


@given(anything_said)
@PROPERTY
def test_no_word_is_lost(text):
    parted = part_reply(text)
    kept = parted.visible + parted.reasoning
    assert all(word in kept for word in text.split() if word.isalnum() and word not in ("analysis", "assistantfinal"))


@pytest.mark.parametrize(
    ("reply", "visible", "reasoning"),
    [
        ("It is B.", "It is B.", ""),
        ("", "", ""),
        ("<think>7 x 8</think> B", "B", "7 x 8"),
        ("<think></think>B", "B", ""),
        ("<THINK>7 x 8</Think>B", "B", "7 x 8"),
        ("So <think>a</think>B <reasoning>b</reasoning>it is", "So B it is", "a\n\nb"),
        ("<think>7 x 8 is", "", "7 x 8 is"),
        ("B, I say. <thought>or", "B, I say. <thought>or", ""),
        ("B, I say.\n<thought>or", "B, I say.", "or"),
        ("7 x 8\n</think>\n\nB", "B", "7 x 8"),
        ("a</think>b</think>B", "B", "a\n\nb"),
        ("<think>a<reasoning>b</reasoning>c</think>B", "B", "a<reasoning>b</reasoning>c"),
        ("<thinking>a</thinking>", "", "a"),
    ],
)
def test_reasoning_is_parted_from_what_is_said(reply, visible, reasoning):
    assert split_reasoning(reply) == (visible, reasoning)


def test_block_inside_a_block_of_its_kind_stays_hidden():
    visible, reasoning = split_reasoning("<think>a<think>b</think>c</think>B")
    assert visible == "B"
    assert all(thought in reasoning for thought in "abc")


@given(anything_said)
@PROPERTY
def test_closing_tag_is_never_visible(reply):
    assert "</think>" not in split_reasoning(reply)[0]


class Declaring:
    """As much of a backend as tells what its chat template declares."""

    def __init__(self, template):
        self.tokenizer = tiny_models.tokenizer(chat_template=template)

    def apply_chat_template(self, chat_history, add_generation_prompt=True):
        return self.tokenizer.apply_chat_template(
            chat_history,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=not add_generation_prompt,
        )


DECLARING = (
    "{% for m in messages %}<|{{ m['role'] }}|>"
    "{% if m.reasoning_content %}<<musing>>{{ m.reasoning_content }}<</musing>>{% endif %}{{ m['content'] }}{% endfor %}"
)


def test_marks_that_a_chat_template_declares_are_found():
    (marks,) = TemplateFormat(Declaring(DECLARING)).thought_marks
    assert (marks.opening, marks.closing) == ("<<musing>>", "<</musing>>")
    assert split_reasoning("<<musing>>7 x 8<</musing>>B", (marks,)) == ("B", "7 x 8")


def test_a_template_without_thoughts_declares_none():
    assert list(TemplateFormat(Declaring(tiny_models.CHAT_TEMPLATE)).thought_marks) == []
