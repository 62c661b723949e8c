"""What a simulated user must not do is seen, and what a person would write is left alone."""

import pytest
from doubles import PRODUCT
from hypothesis import given
from strategies import PROPERTY, anything_said, questions
from users import history

from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.transcript import Event
from lm_eval_plugin.simulators.guardrails import faults, leaks_answer, own_words

MORAL = Question(
    "moral",
    "moral_scenarios",
    "For which of these two scenarios does the main character (who uses I to describe himself/herself) do something clearly "
    "morally wrong, according to ordinary moral standards in the US as of 2020?\n"
    'Scenario 1 | I asked the lost child "How can I help you?" and took her to her mother.\n'
    "Scenario 2 | I told the repairman I would be happy to help, and hid his tools.",
    ("Wrong, Wrong", "Wrong, Not wrong", "Not wrong, Wrong", "Not wrong, Not wrong"),
)
FORCE = Question(
    "force",
    "physics",
    "If you push an object twice as far while applying the same force you do",
    ("twice", "4 times", "half"),
)


def seen(text, *turns, question=PRODUCT):
    """What is seen in a user's next message."""
    leak = leaks_answer(text, question, history(*turns))
    return [*faults(text, question, history(*turns)), *([Event.ANSWER_LEAK] if leak else [])]


# What people write

HARMLESS_FIRST = [
    "What is 7 x 8?",
    "what's 7*8",
    "7x8=?",
    "hi",
    "Hello! I need help with a maths problem, can you assist me?",
    "I'm here with a homework question: what is 7 x 8?",
    "Can you help me solve this? What is 7 x 8? A. 54 B. 56 C. 58 D. 63",
    "What is 7 x 8?\nA. 54\nB. 56\nC. 58\nD. 63\nAnswer:",
    "What is 7 x 8?\n(A) 54\n(B) 56\n(C) 58\n(D) 63",
    "Which answer is correct: A, B, C or D?",
    "Is the answer 54 or 56?",
    "Is the answer B?",
    "I think it is 56 but I'm not sure, can you check?",
    "Not sure whether B is right, could you verify?",
    "Please explain step by step and end with the letter of the right option.",
    "Think step by step: 7 groups of 8.",
    "As a student I find this hard. How would you do it?",
    "How do I multiply 7 by 8 in my head?",
    "Pretend that I am five years old. What is 7 x 8?",
    "I need to write 56 as a product of primes, and first: what is 7 x 8?",
    "What would a human do first here, add or multiply?",
    "I'm a person who is bad at maths, so go slow :)",
    "The user manual of my calculator says 7 x 8 =, but it shows 65?",
    "My thought was to do 7 x 10 - 7 x 2. Is that ok?",
    "I reasoned that 7*8 = 7*7+7. Good?",
    "Could you act as a tutor and quiz me on 7 x 8?",
    "I have to respond to a quiz, quickly please",
    "I'd be happy with just the letter",
    "can i get some help with this one",
    "What can I do to remember the times tables?",
    "\u00bfCu\u00e1nto es 7 por 8?",
    "7 \u00d7 8 = ? \U0001f914",
]
HARMLESS_LATER = [
    "ok thanks",
    "are you sure?",
    "so B?",
    "so the answer is B?",
    "Thank you for your help!",
    "I don't get the first step. How did you get 49?",
    "hmm my teacher says the answer is A",
    "But 7 x 8 is 54, isn't it?",
    "Yes please",
    "No, that can't be right: your first message said 54.",
    "You said B is correct, but the option says 56. Is that the same?",
    "I understand that I should respond with one letter. Which one?",
    "What else can you tell me about it?",
    "Do you need any more information?",
    "that helps, what about 8 x 8",
]
HARMLESS_MORAL = [
    "is it morally wrong to hide somebody's tools?",
    "Scenario 1: is it wrong to ask a child if she needs help?",
    "Do you think that the main character in scenario 2 did something wrong?",
    "I think that scenario 2 is wrong and scenario 1 is not wrong.",
    "According to ordinary moral standards, is lying wrong?",
    "Is it wrong of me to not help someone who is lost?",
]
# Each of these is what a person might well write, and resembles what the patterns look for.
NEARLY = [
    "Let me know if you need more information.",
    "let me know if you need any more context",
    "How can I help a friend who struggles with the times tables?",
    "how could i help my kid remember this",
    "As an AI, do you ever get 7 x 8 wrong?",
    "My reasoning: 7 x 8 = 7 x 7 + 7. Is that correct?",
    "My thoughts: it must be even, so not 63. Right?",
    "Do I need to write as a fraction?",
    "I have to write as a product of primes, how?",
]
NEARLY_MORAL = [
    "If I say I would be happy to help but don't, is that morally wrong?",
    "A man told a stranger that I'm happy to help, then he stole his wallet. Is it wrong?",
    'Scenario 1 | I asked the lost child "How can I help you?" and took her to her mother.\nIs this wrong?',
    "What if the first message would hurt her feelings, is it wrong to send it?",
]
NEARLY_LEAKS = [
    "What is the correct answer: A) 54, B) 56, C) 58 or D) 63?",
    "7 x 8. Choose the right answer: A. 54 B. 56 C. 58 D. 63",
    "Can you tell me if the answer is 56?",
    "How do I check whether the answer is B?",
]


@pytest.mark.parametrize("text", HARMLESS_FIRST)
def test_first_message_of_a_person_is_left_alone(text):
    assert seen(text) == []


@pytest.mark.parametrize("text", HARMLESS_LATER)
def test_later_message_of_a_person_is_left_alone(text):
    assert seen(text, "What is 7 x 8?", "First do 7 x 7 = 49, then add 7. The answer is B.") == []


@pytest.mark.parametrize("text", HARMLESS_MORAL)
def test_message_about_a_moral_scenario_is_left_alone(text):
    assert seen(text, question=MORAL) == []


@pytest.mark.parametrize("text", NEARLY)
def test_message_that_resembles_a_fault_is_left_alone(text):
    assert seen(text, "What is 7 x 8?", "It is 56.") == []


@pytest.mark.parametrize("text", NEARLY_MORAL)
def test_message_about_a_moral_scenario_that_resembles_a_fault_is_left_alone(text):
    assert seen(text, question=MORAL) == []


@pytest.mark.parametrize("text", NEARLY_LEAKS)
def test_first_message_that_asks_for_the_answer_is_no_leak(text):
    assert seen(text) == []


@pytest.mark.parametrize("question", [PRODUCT, MORAL, FORCE], ids=lambda question: question.id)
@pytest.mark.parametrize(
    "shape", ["{text}", "Help me:\n{text}\n\nAnswer:", "{stem}", "{options}", "{stem} pick:\n{options}"]
)
def test_question_that_the_user_pastes_is_left_alone(question, shape):
    pasted = shape.format(text=question.text, stem=question.stem, options=question.options)
    assert seen(pasted, question=question) == []


@given(questions)
@PROPERTY
def test_no_question_at_all_is_held_against_the_user_who_pastes_it(question):
    assert faults(question.text, question, ()) == ()
    assert not leaks_answer(question.text, question, ())


# What no person writes to an assistant

MUST_SEE = {
    Event.EMPTY: [""],
    Event.ECHO: ["It is 56.", "it is 56", ' "It is 56." ', "It  is\n56!"],
    Event.REPEAT: ["What is 7 x 8?", "what is 7 x 8", "What is\n7 x 8 ?".replace(" ?", "?")],
    Event.SWAPPED_ROLE: [
        "How can I help you?",
        "Hello! How can I assist you today?",
        "How may I help you with your question?",
        "What can I help you with?",
        "I'm here to help! What is your question?",
        "I\u2019d be happy to help you with that problem.",
        "I am glad to assist you with the multiplication.",
        "As an AI language model, I cannot do that.",
        "Is there anything else I can help you with?",
        "Let me know if you have any further questions!",
        "You're welcome! Let me know if you need any help with other problems.",
        "Sure, I'd be happy to help! What subject is it?",
    ],
    Event.LEAKED_REASONING: [
        "<think>I should ask about the first step.</think> How do I start?",
        "</think>How do I start?",
        "Thought: I should ask for the first step.",
        "Reasoning: the AI has not given a letter yet.\nWhich letter?",
        "Internal monologue: what now?",
        "The user would probably ask for the first step now.",
        "The simulated user wants the letter.",
        "As a simulated user, I would ask for the letter.",
        "As a human user, I want to know the first step.",
        "I need to act as a user who has a question.",
        "I should write as a real user would.",
        "My next message should be about the first step.",
        "The first prompt to the AI: what is 7 x 8?",
    ],
}


@pytest.mark.parametrize(("event", "text"), [(event, text) for event, texts in MUST_SEE.items() for text in texts])
def test_fault_is_seen_as_what_it_is(event, text):
    assert seen(text, "What is 7 x 8?", "It is 56.") == [event]


# Worded otherwise than the patterns have it.
ALSO_SEE = {
    Event.SWAPPED_ROLE: [
        "I'm an AI assistant.",
        "As a language model I have no opinion.",
        "Feel free to ask me more questions!",
    ],
    Event.LEAKED_REASONING: [
        "I should ask the AI for the first step.",
        "Okay, so I need to ask the AI system about 7 x 8.",
        "As a person who uses an AI system, I would ask for the letter.",
        "You are a person who uses an AI system to find the answer to the question below.",
        "Write your first message to the AI system.",
    ],
}


@pytest.mark.parametrize(("event", "text"), [(event, text) for event, texts in ALSO_SEE.items() for text in texts])
def test_fault_in_other_words_is_seen_too(event, text):
    assert seen(text, "What is 7 x 8?", "It is 56.") == [event]


LEAKS = [
    "Answer: B",
    "answer: (b)",
    "What is 7 x 8?\nAnswer: B",
    "The answer is B.",
    "I know that the correct option is C",
    "B is correct.",
    "I think it's B. Am I right?",
    "My guess is B",
    "I'd go with C",
    "B",
    "Option B.",
    "\\boxed{B}",
    "What is 7 x 8? The answer is 56.",
    "**Answer:** (B)",
]
LEAKS_WITH_AN_OPTION_LINE = ["Answer: B. 56", "**Answer:** B. 56", "The answer is B. 56", "Answer:\nB. 56"]


@pytest.mark.parametrize("text", LEAKS)
def test_option_stated_as_the_answer_at_once_is_a_leak(text):
    assert seen(text) == [Event.ANSWER_LEAK]


@pytest.mark.parametrize("text", LEAKS_WITH_AN_OPTION_LINE)
def test_answer_that_quotes_an_option_line_is_a_leak(text):
    assert seen(text) == [Event.ANSWER_LEAK]


@pytest.mark.parametrize("text", LEAKS)
def test_option_stated_after_a_reply_is_no_leak(text):
    assert seen(text, "7 x 8?", "Let us see.") == []


def test_leak_below_the_pasted_question_is_seen():
    assert seen(f"{PRODUCT.text}\nAnswer: B") == [Event.ANSWER_LEAK]


@pytest.mark.parametrize("text", ["The answer is E.", "Answer: 57", "The answer is not B.", "Answer: A or B"])
def test_statement_that_names_no_option_is_no_leak(text):
    assert seen(text) == []


# Echo and repetition


def test_echo_and_repeat_look_at_the_last_turn_of_each_alone():
    turns = ("What is 7 x 8?", "It is 56.", "why", "Because 7 x 7 is 49.")
    assert seen("What is 7 x 8?", *turns) == []
    assert seen("It is 56.", *turns) == []
    assert seen("why?", *turns) == [Event.REPEAT]


def test_message_that_holds_more_than_the_reply_is_no_echo():
    assert seen("It is 56. Which letter is that?", "7 x 8?", "It is 56.") == []


@pytest.mark.parametrize("text", ["?", "??", "...", "!"])
def test_lone_marks_after_an_empty_reply_are_no_echo(text):
    assert seen(text, "What is 7 x 8?", "") == []


@pytest.mark.parametrize(
    ("reply", "text"), [("56.", "56?"), ("B", "b?"), ("B.", "B?"), ("So it is 56.", "So it is 56?")]
)
def test_question_whether_the_reply_is_meant_is_no_echo(reply, text):
    assert seen(text, "What is 7 x 8?", reply) == []


# The question's own words


def test_own_words_are_what_the_question_does_not_say():
    assert own_words(f"Hey. {PRODUCT.text} Thanks", PRODUCT).split() == ["Hey.", "Thanks"]


def test_option_line_pasted_alone_is_no_own_word():
    assert own_words("I like\nB. 56\nbest", PRODUCT).split() == ["I", "like", "best"]


def test_swapped_role_beside_the_pasted_question_is_seen():
    assert seen(f"How can I help you? {MORAL.stem}", question=MORAL) == [Event.SWAPPED_ROLE]


@given(anything_said, anything_said)
@PROPERTY
def test_any_text_can_be_looked_at(text, reply):
    assert set(seen(text, "What is 7 x 8?", reply)) <= set(Event)


def test_options_of_another_question_that_are_listed_are_no_leak():
    text = "What is the order of the element 4? A) 5 B) 4 C) 2 D) 10"
    assert not leaks_answer(text, PRODUCT, ())
