"""How much simulated users open a conversation as people do.

On each question every first message of a simulated user is held against every first message of a person, by BLEU and by
ROUGE-1; the scores are averaged over the pairs of a question, then over questions. What people score against each other
stands beside, since nobody can be expected to resemble people more than they do.

BLEU is given in two forms: `corpus_bleu`, the paper's, is unsmoothed BLEU-4 over all pairs of a question as one corpus; `bleu` is
taken message by message, of as many n-gram orders as the shorter message has, so that a short message does not score 0.

Source: ChatBench, section on user simulation, which reports BLEU and ROUGE-1; its code takes BLEU by `evaluate`'s `bleu`.
Deviations: sacrebleu computes it, with `evaluate`'s tokenizer (that of mteval-v13a); beside it stands the sentence-level form.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations, product

from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU

from lm_eval_plugin.chatbench_data.release import Release
from lm_eval_plugin.comparison.same_question import question_key
from lm_eval_plugin.dialogue.transcript import Message, Role
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.scoring.kinds import Kind
from lm_eval_plugin.scoring.metrics import QuestionRecord
from lm_eval_plugin.scoring.statistics import Estimate, mean_estimate

_Pair = tuple[str, str]
"""A message, and the person's that it is held against."""


@dataclass(frozen=True, slots=True)
class Similarity:
    """How much messages resemble those of people, from 0 to 1.

    Args:
        bleu: The share of their word sequences, of one to four words, that the person's have too.
        rouge_1: The F1 score of their single words.
        corpus_bleu: As `bleu`, of all pairs of a question together and unsmoothed, as in the paper.
    """

    bleu: Estimate
    rouge_1: Estimate
    corpus_bleu: Estimate


@dataclass(frozen=True, slots=True)
class FirstPrompts:
    """First messages of simulated users beside those of people.

    Args:
        simulated: Similarity of the simulated users' to those of people.
        among_people: Similarity of people's to each other; None if nobody shares a question with somebody.
        simulated_messages: How many of simulated users there are.
        human_messages: How many of people, on the same questions.
        without_people: Questions of the run that are left out because no person talked about them.
        silent: Dialogues that are left out because the simulated user said nothing.
    """

    simulated: Similarity
    among_people: Similarity | None
    simulated_messages: int
    human_messages: int
    without_people: int
    silent: int


def compare_first_prompts(records: Iterable[QuestionRecord], release: Release) -> FirstPrompts:
    """Hold the first messages of a run against those of a release.

    Args:
        records: The questions of the run. They are found in the release by their text and options, whatever their order.
        release: The conversations of people.

    Raises:
        ConfigError: No question is in both.
    """
    held = list(records)
    people = _first_of_people(release)
    shared = [record for record in held if question_key(record.question) in people]
    said = [_openings(record) for record in shared]
    pairs = [
        list(product(mine, people[question_key(each.question)]))
        for mine, each in zip(said, shared, strict=True)
        if mine
    ]
    if not pairs:
        raise ConfigError(
            f"{release.source}: its people talked about none of the {len(held)} questions of the run; give the release that "
            "the run's questions are from"
        )
    asked = {question_key(record.question) for record in shared}
    among = [list(permutations(people[key], 2)) for key in sorted(asked) if len(people[key]) > 1]
    return FirstPrompts(
        simulated=_similarity(pairs),
        among_people=_similarity(among) if among else None,
        simulated_messages=sum(map(len, said)),
        human_messages=sum(len(people[key]) for key in asked),
        without_people=len(held) - len(shared),
        silent=sum(len(record.transcripts) for record in shared) - sum(map(len, said)),
    )


def _first_of_people(release: Release) -> Mapping[object, list[str]]:
    found: defaultdict[object, list[str]] = defaultdict(list)
    for conversation in release.conversations:
        question = release.questions[conversation.question_id].question
        found[question_key(question)].append(conversation.messages[0].content)
    return found


def _openings(record: QuestionRecord) -> list[str]:
    """The first messages of a question's dialogues; none for a user that said nothing."""
    return [transcript.messages[0].content for transcript in record.transcripts if _opens(transcript.messages)]


def _opens(messages: Sequence[Message]) -> bool:
    return bool(messages) and messages[0].role is Role.USER


def _similarity(pairs: Sequence[Sequence[_Pair]]) -> Similarity:
    """The similarity over Q questions, each with its pairs."""
    bleu, rouge = BLEU(effective_order=True), RougeScorer(["rouge1"])
    papers = BLEU(smooth_method="none")

    def bleu_of(said: str, person: str) -> float:
        return float(bleu.sentence_score(said, [person]).score) / 100

    def rouge_of(said: str, person: str) -> float:
        return float(rouge.score(person, said)["rouge1"].fmeasure)

    def corpus_bleu_of(question: Sequence[_Pair]) -> float:
        said, people = zip(*question, strict=True)
        return float(papers.corpus_score(list(said), [list(people)]).score) / 100

    return Similarity(
        mean_estimate([[bleu_of(*pair) for pair in question] for question in pairs], Kind.SHARE),
        mean_estimate([[rouge_of(*pair) for pair in question] for question in pairs], Kind.SHARE),
        mean_estimate([[corpus_bleu_of(question)] for question in pairs], Kind.SHARE),
    )
