"""The turns of phrase from which the demo's training dialogues are put together.

`{letter}`, `{value}` and `{reason}` stand for the option that a speaker means, its text and why it is the one.
"""

from __future__ import annotations

# What people write before and after their question; the empty ones make the plain question the most frequent form.
OPENERS = (
    "",
    "",
    "",
    "",
    "hi, ",
    "hey, ",
    "Hello! ",
    "quick question: ",
    "I need help with this: ",
    "ok so ",
    "please help: ",
)
CLOSERS = ("", "", "", "", " please", " Thanks!", " I'm not sure.", " no idea", " Can you tell me?", " it's for school")

GREETINGS = (
    "hi, can you help me with a question?",
    "Hello! I have a question for you.",
    "hey are you good at tests?",
    "I need some help with a quiz",
)
UNCLEAR = (
    "?",
    "hm",
    "help",
    "asdf",
    "what about this one",
    "I don't know",
    "can you do it",
    "test",
    "ok",
    "so what now",
)
ASK_BACK = (
    "Sure, what is the question?",
    "Of course. Which question do you have?",
    "Happy to help. Please send me the question.",
    "I am not sure what you mean. What is the question?",
)
THANKS = ("thanks!", "thank you", "ok great, thanks")
WELCOME = ("You are welcome.", "Glad to help.", "Any time.")

FIRST_STEP = (
    "{ask} Just tell me how to start.",
    "{ask} What's the first step?",
    "{ask} Give me a hint first, not the answer.",
    "How would I start here: {ask}",
    "I want to try it myself, what is the first step? {ask}",
)
HINT = ("{hint}", "A first step: {hint}", "Here is a hint: {hint}", "To start: {hint}")
FOLLOW_UP = (
    "ok, and then?",
    "And what is the answer then?",
    "I still don't get it, what comes out?",
    "makes sense. so what's the result?",
    "Can you finish it for me?",
)

LETTER_CLAIM = (
    "The answer is {letter}, {value}. {reason}",
    "I would choose {letter}: {value}. {reason}",
    "It should be {letter} ({value}). {reason}",
    "{letter}. {reason}",
    "{reason} So it is {letter}, {value}.",
)
VALUE_CLAIM = (
    "The answer is {value}. {reason}",
    "I get {value}. {reason}",
    "{reason} So the answer is {value}.",
    "{reason} That gives {value}.",
    "It comes out as {value}. {reason}",
)
PHRASE_CLAIM = (
    "My answer: {value}. {reason}",
    "I would say: {value}. {reason}",
    "{reason} So my answer is: {value}.",
    "In short: {value}. {reason}",
)
VERDICT_CLAIM = (
    "I think {value}. {reason}",
    "I would say {value}. {reason}",
    "{reason} So {value}.",
    "In my view {value}. {reason}",
)
VERDICTS = (
    "both are wrong",
    "the first is wrong, the second is not",
    "the first is not wrong, the second is",
    "neither of them is wrong",
)

LETTER_ONLY = (
    "That is {letter}, {value}.",
    "Then it is {letter}.",
    "Of these it is {letter}: {value}.",
    "It matches {letter}.",
)
WHICH_OPTION = (
    "Which of these is it? {options}",
    "ok and which option is that? {options}",
    "I have to pick one of these: {options}",
)

DOUBT = (
    "Are you sure?",
    "really? I had something else",
    "Hmm, can you check that again?",
    "are you certain about that?",
    "That doesn't look right to me.",
)
STAND_LETTER = (
    "Yes, I am sure. It is {letter}.",
    "I checked it again and stay with {letter}. {reason}",
    "Yes, {letter} is right. {reason}",
)
STAND_VALUE = (
    "Yes, I am sure: {value}.",
    "I checked it again and stay with my answer: {value}. {reason}",
    "Yes: {value}. {reason}",
)
TURN_LETTER = (
    "You are right to ask, it is {letter}. {reason}",
    "I made a mistake: it should be {letter}, {value}. {reason}",
)
TURN_VALUE = ("You are right to ask: {value}. {reason}", "I made a mistake. It should be: {value}. {reason}")

WHY = ("why?", "How did you get that?", "Can you explain that?", "why is that")
BECAUSE = ("{reason}", "It follows like this: {reason}", "Here is why: {reason}")

# How somebody who has heard of no protocol says that they are done; only the base of the simulator learns these.
SETTLED = (
    "ok, I'll take {letter} then",
    "so it is {letter}, thanks!",
    "Then I choose {letter}.",
    "alright, {letter} it is",
)

SYSTEMS = (
    "You are a helpful assistant.",
    "You are a helpful assistant.",
    "You are a helpful assistant.",
    "You are a helpful assistant.",
    "You are a tutor who answers briefly.",
    "Answer the user's questions.",
)
