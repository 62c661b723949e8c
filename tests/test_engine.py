import pytest
from doubles import PRODUCT, ScriptedModel, chatbench_user, saying

from lm_eval_plugin.dialogue.engine import Ask, Failure, Progress, Reply, converse, seeded
from lm_eval_plugin.dialogue.question import Question
from lm_eval_plugin.dialogue.transcript import Message, Role, StopReason, Transcript
from lm_eval_plugin.simulators.loop import dialogue
from lm_eval_plugin.simulators.scripted import ScriptedUser


def script(name, turns):
    """A dialogue of as many exchanges as told, in which both sides are shown its name and how much was said."""
    history = ()

    def ended(stop_reason):
        return Transcript(name, "script", 0, 0, history, None, stop_reason)

    for _ in range(turns):
        for role in Role:
            reply = yield Ask(role, history, lambda shown: f"{name} {len(shown)}")
            if isinstance(reply, Failure):
                return ended(reply.stop_reason)
            history += (Message(role, reply.text),)
    return ended(StopReason.NO_ANSWER)


def echo():
    return ScriptedModel(lambda ask: f"{ask.role.value} on {ask.prompt(ask.history)}")


def models():
    return {Role.USER: echo(), Role.ASSISTANT: echo()}


def test_transcripts_come_in_the_order_of_the_dialogues_whichever_ends_first():
    names = ["slow", "fast", "middle"]
    held = converse([script("slow", 3), script("fast", 1), script("middle", 2)], models())
    assert [transcript.question_id for transcript in held] == names
    assert [len(transcript.messages) for transcript in held] == [6, 2, 4]


def test_each_model_is_called_once_a_round_with_all_asks_that_wait_for_it():
    both = models()
    rounds = []
    converse([script("x", 3), script("y", 1), script("z", 2)], both, on_round=rounds.append)
    # Round 1: all three speak and are answered, and y ends; round 2: x and z, and z ends; round 3: x.
    assert both[Role.USER].batches == [3, 2, 1]
    assert both[Role.ASSISTANT].batches == [3, 2, 1]
    assert rounds == [Progress(1, 2, 1), Progress(2, 1, 2), Progress(3, 0, 3)]


def test_replies_reach_the_dialogues_that_asked():
    held = converse([script("x", 1), script("y", 2)], models())
    assert [message.content for message in held[0].messages] == ["user on x 0", "assistant on x 1"]
    assert [message.content for message in held[1].messages][2:] == ["user on y 2", "assistant on y 3"]


def dialogues(numbers):
    """Dialogues of the real loop, whose questions differ."""
    for number in numbers:
        question = Question(f"q{number}", "sums", f"What is {number} plus 1?", (f"{number}", f"{number + 1}"))
        yield dialogue(question, chatbench_user(), assistant_system="Help.", max_turns=4, repeat=0, seed=number)


def talkers():
    """A user that is done after as many replies as its question's number tells, and an assistant that echoes it."""

    def user(ask):
        number = int(ask.prompt(ask.history).split("What is ")[1].split()[0])
        replies = len(ask.history) // 2
        return "Answer: B" if replies > number % 4 else f"What about {number}, try {replies}?"

    return {Role.USER: ScriptedModel(user), Role.ASSISTANT: ScriptedModel(lambda ask: ask.history[-1].content.upper())}


def test_a_batch_of_dialogues_equals_one_call_for_each():
    together = converse(dialogues(range(8)), talkers())
    alone = [transcript for number in range(8) for transcript in converse(dialogues([number]), talkers())]
    assert together == alone
    assert {transcript.stop_reason for transcript in together} == {StopReason.ANSWERED, StopReason.FORCED}


def test_dialogues_in_reverse_order_give_the_same_transcripts():
    assert converse(dialogues(reversed(range(8))), talkers()) == converse(dialogues(range(8)), talkers())[::-1]


def test_two_thousand_dialogues_run():
    both = talkers()
    held = converse(dialogues(range(2000)), both)
    assert [transcript.question_id for transcript in held] == [f"q{number}" for number in range(2000)]
    assert max(both[Role.USER].batches) == 2000


def test_failure_ends_one_dialogue_and_the_others_go_on():
    def user(ask):
        return Failure(StopReason.MODEL_ERROR) if ask.prompt(ask.history) == "bad 2" else "hello"

    held = converse(
        [script("good", 2), script("bad", 2), script("fine", 2)],
        {Role.USER: ScriptedModel(user), Role.ASSISTANT: echo()},
    )
    assert [len(transcript.messages) for transcript in held] == [4, 2, 4]
    assert [transcript.stop_reason.value for transcript in held] == ["no_answer", "model_error", "no_answer"]


def test_model_is_asked_with_the_whole_history():
    assistant = saying("one", "two")
    held = converse([script("x", 2)], {Role.USER: saying("first", "second"), Role.ASSISTANT: assistant})
    assert assistant.shown == ["x 1", "x 3"]
    assert [message.content for message in held[0].messages] == ["first", "one", "second", "two"]


def test_no_dialogues_call_no_model():
    both, rounds = models(), []
    assert converse([], both, on_round=rounds.append) == []
    assert both[Role.USER].batches == both[Role.ASSISTANT].batches == rounds == []


def test_role_that_nobody_asks_for_needs_no_model():
    alone = dialogue(PRODUCT, ScriptedUser(), assistant_system="Help.", max_turns=1, repeat=0, seed=0)
    [transcript] = converse([alone], {Role.ASSISTANT: saying("It is 56.")})
    assert transcript.answer == "B"


@pytest.mark.parametrize("replies", [[], [Reply("one"), Reply("too many")]])
def test_model_that_returns_another_number_of_replies_is_an_error(replies):
    class Careless:
        def reply(self, asks):
            return replies

    with pytest.raises(ValueError, match="zip"):
        converse([script("x", 1)], {Role.USER: Careless()})


def test_bug_in_a_model_propagates():
    def broken(ask):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        converse([script("x", 1)], {Role.USER: ScriptedModel(broken)})


# Live dialogues, and what is told of them


def test_as_one_dialogue_ends_the_next_begins():
    both = models()
    begun = []

    def noted(name, turns):
        begun.append(name)
        return (yield from script(name, turns))

    held = converse([noted("x", 3), noted("y", 1), noted("z", 1), noted("w", 1)], both, live=2)
    assert both[Role.USER].batches == [2, 2, 2]
    assert begun == ["x", "y", "z", "w"]
    assert [transcript.question_id for transcript in held] == ["x", "y", "z", "w"]


@pytest.mark.parametrize("live", [None, 1, 2, 7])
def test_how_many_are_held_at_once_changes_nothing_that_is_said(live):
    sets = [dialogues(range(6)) for _ in range(2)]
    assert converse(sets[0], models(), live=live) == converse(sets[1], models())


def test_a_transcript_is_told_as_soon_as_its_dialogue_has_ended():
    ended = []
    rounds = []
    held = converse(
        [script("x", 2), script("y", 1)],
        models(),
        on_end=lambda place, transcript: ended.append((len(rounds), place, transcript)),
        on_round=rounds.append,
    )
    assert ended == [(0, 1, held[1]), (1, 0, held[0])]


# Seeds


def asks_of(seed, turns=3):
    asks, reply = [], None
    talk = seeded(script("x", turns), seed)
    while True:
        try:
            asks.append(talk.send(reply))
        except StopIteration:
            return asks
        reply = Reply("said")


def test_every_turn_of_a_dialogue_has_a_seed_of_its_own():
    seeds = [ask.seed for number in range(20) for ask in asks_of(number)]
    assert len(set(seeds)) == 20 * 6
    assert all(0 <= each < 2**64 for each in seeds)


def test_the_seeds_follow_from_the_dialogues_own_alone():
    assert [ask.seed for ask in asks_of(5)] == [ask.seed for ask in asks_of(5)]
    assert [ask.seed for ask in asks_of(5)][:2] == [ask.seed for ask in asks_of(5, turns=1)]


def test_the_turns_of_a_dialogue_name_the_same_conversation_and_no_other():
    one, other = asks_of(1), asks_of(1)
    assert len({id(ask.conversation) for ask in one}) == 1
    assert one[0].conversation is not other[0].conversation
