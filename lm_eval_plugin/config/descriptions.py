"""What each preset, policy, persona and habit is, in one line, for lists and tables.

Whoever adds one adds its line here.
"""

from __future__ import annotations

from collections.abc import Mapping

PRESETS_TOLD: Mapping[str, str] = {
    "chatbench-distilgpt2": "82M, tuned on the study's people; runs on any machine, for a first look (the default)",
    "chatbench-llama3-8b": "8B, tuned on the study's people, gated base; for long conversations",
    "chatbench-mistral-7b": "7B, tuned on the study's people; for numbers to publish, and for chatbench_mmlu_all",
    "userlm-8b": "8B, tuned on WildChat; a user that was not trained on ChatBench's questions",
    "two_step": "the paper's prompted gpt-4o; to compare with its untuned simulator",
    "two_step_problem": "likewise; its first message must include the problem",
    "two_step_help": "likewise; its first message is a fixed request for the first step",
    "iqa_eval": "IQA-EVAL's prompted gpt-4o; asks one sub-question a turn",
    "demo": "the tiny base and adapter bundled here; to see how things work",
    "scripted": "no model: pastes the question, takes what is named; a baseline, and for tests",
    "sharded": "no model: the question piece by piece; what piecemeal questions cost",
    "human": "you, at the terminal",
}

POLICIES_TOLD: Mapping[str, str] = {
    "chatbench": "continues the format of the released weights (model cards of the three simulators)",
    "two_step": "writes the next prompt, or `Answer: X`; first prompt free (ChatBench)",
    "two_step_problem": "the same; the first prompt states the whole problem (ChatBench)",
    "two_step_help": "the same; the first prompt is a fixed request for the first step (ChatBench)",
    "iqa_eval": "one sub-question a turn; ends with `So, the answer is: X` (Li et al. 2024)",
    "userlm": (
        "intent as system message, the conversation in its real roles; asked for its answer when it ends the conversation "
        "(arXiv 2510.06552)"
    ),
    "scripted": "does what its `habits` say, without a model",
    "sharded": "the question in pieces, one a turn: sentence by sentence, then option by option (arXiv 2505.06120)",
    "human": "types",
}

PERSONAS_TOLD: Mapping[str, str] = {
    "novice": "knows little, has time, takes what it is told",
    "learner": "knows little, has time, wants to understand each step",
    "hurried": "knows something, has hardly any time, wants a letter and goes",
    "skeptic": "knows something, has time, doubts and checks",
    "expert": "knows much, is short, asks for one thing and notices mistakes",
    "overconfident": "knows something, has little patience, has an opinion and looks for a yes",
    "any": "one of all of them, drawn for each question from the seed",
}

HABITS_TOLD: Mapping[str, str] = {
    "pastes_all": "opens with the question and its options (the default)",
    "pastes_stem": "opens with the question alone",
    "paraphrases": "opens with the question and its options in a sentence of its own, drawn from the dialogue's seed",
    "doubts_once": "questions the first option that is named, once, and accepts what is named next",
    "gives_up": "leaves without an answer when a reply names no option, instead of asking once more",
    "asks_once": "leaves without an answer after the first reply, whatever it says: a static question in free text",
}
