"""Two halves of the dialogues in turns: the same transcripts, both models at work, and an end for both when one fails."""

from __future__ import annotations

import threading

import pytest

from lm_eval_plugin.dialogue.alternation import converse_in_halves
from lm_eval_plugin.dialogue.engine import Ask, Reply, converse
from lm_eval_plugin.dialogue.transcript import Message, Role, StopReason, Transcript


def script(name, rounds):
    history = ()
    for _ in range(rounds):
        for role in (Role.USER, Role.ASSISTANT):
            reply = yield Ask(role, history, lambda shown: name)
            history += (Message(role, reply.text),)
    return Transcript(name, "script", 0, 0, history, None, StopReason.NO_ANSWER)


class Model:
    """Says what it is asked, one call at a time."""

    def __init__(self):
        self.speaking = False
        self.batches = []
        self.cancelled = False

    def reply(self, asks):
        assert not self.speaking
        self.speaking = True
        self.batches.append([ask.prompt(ask.history) for ask in asks])
        self.meet()
        self.speaking = False
        return [Reply(f"{ask.prompt(ask.history)}{len(ask.history)}") for ask in asks]

    def meet(self):
        pass

    def cancel(self):
        self.cancelled = True


def both():
    return {role: Model() for role in Role}


def scripts(count=7):
    return [script(f"d{place}", 1 + place % 3) for place in range(count)]


@pytest.mark.parametrize("live", [None, 1, 3])
def test_the_transcripts_are_those_of_one_set_in_the_same_order(live):
    ended = {}
    held = converse_in_halves(scripts(), both(), live=live, on_end=ended.__setitem__)
    assert held == converse(scripts(), both())
    assert [ended[place] for place in range(7)] == held


def test_which_dialogues_share_a_batch_is_fixed():
    models = both()
    converse_in_halves(scripts(), models)
    assert {frozenset(int(name[1:]) % 2 for name in batch) for batch in models[Role.USER].batches} == {
        frozenset({0}),
        frozenset({1}),
    }


def test_one_half_is_at_one_model_while_the_other_is_at_the_other():
    meeting = threading.Barrier(2, timeout=60)

    class Meeting(Model):
        def __init__(self, call):
            super().__init__()
            self.call = call

        def meet(self):
            if len(self.batches) == self.call:
                meeting.wait()

    # The assistant's first call, for one half, ends only while the user's second, for the other half, is under way.
    models = {Role.USER: Meeting(2), Role.ASSISTANT: Meeting(1)}
    assert converse_in_halves(scripts(8), models) == converse(scripts(8), both())


def test_a_model_is_asked_by_one_half_at_a_time():
    class Watching(Model):
        def __init__(self):
            super().__init__()
            self.another = threading.Event()

        def reply(self, asks):
            if self.speaking:
                self.another.set()
            return super().reply(asks)

        def meet(self):
            if len(self.batches) == 1:
                assert not self.another.wait(0.2)

    converse_in_halves(scripts(8), {Role.USER: Watching(), Role.ASSISTANT: Model()})


def test_progress_counts_both_halves():
    seen = []
    converse_in_halves(scripts(), both(), on_round=seen.append)
    assert seen[-1].finished == 7
    assert seen[-1].active == 0
    assert [each.finished for each in seen] == sorted(each.finished for each in seen)


def test_an_error_in_one_half_ends_both_and_is_the_one_that_is_raised():
    models = both()

    class Broken(Model):
        def reply(self, asks):
            if len(self.batches) == 2:
                raise ValueError("the second call fails")
            return super().reply(asks)

    models[Role.ASSISTANT] = Broken()
    with pytest.raises(ValueError, match="the second call fails"):
        converse_in_halves([script(f"d{place}", 50) for place in range(4)], models)
    assert models[Role.USER].cancelled
    assert len(models[Role.USER].batches) < 20
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("dialogues")]
