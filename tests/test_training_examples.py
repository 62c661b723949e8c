import pytest
from doubles import ScriptedModel, chatbench_user, hold, saying
from releases import QUESTIONS, conversation, write_release
from users import EVIL, situation

from lm_eval_plugin.answers.final_answer import final_answer
from lm_eval_plugin.chatbench_data.release import load_release
from lm_eval_plugin.chatbench_data.splits import split_questions
from lm_eval_plugin.dialogue.transcript import Role
from lm_eval_plugin.errors import ConfigError
from lm_eval_plugin.simulators.chatbench import ChatbenchFormat, Reading
from lm_eval_plugin.simulators.model_user import Aim
from lm_eval_plugin.training.examples import conversation_examples, examples


def read(folder, *held):
    release = load_release(str(write_release(folder, conversations=list(held))))
    return release, release.questions["arithmetic-redux-24"].question


@pytest.mark.parametrize("reading", Reading)
def test_k_user_turns_give_their_messages_and_the_answer(tmp_path, reading):
    release, question = read(tmp_path, conversation(selectedAnswer="C"))
    first, second, closing = conversation_examples(release.conversations[0], question, reading)
    assert [example.reply for example in (first, second, closing)] == ["what is 7 x 8", "sure?", "Answer: C"]
    assert [example.completion for example in (first, second)] == ["what is 7 x 8 [END]", "sure? [END]"]
    assert [example.letter for example in (first, second, closing)] == [None, None, "C"]
    assert [len(example.history) for example in (first, second, closing)] == [0, 2, 4]
    assert final_answer(closing.reply, question).letter == "C"


def test_a_last_message_without_a_reply_is_learnt_and_stands_before_the_answer(tmp_path):
    release, question = read(tmp_path, conversation(chat=[("You", "hi"), ("Bot", "Hello!"), ("You", "7 x 8?")]))
    *messages, closing = conversation_examples(release.conversations[0], question)
    assert [example.reply for example in messages] == ["hi", "7 x 8?"]
    assert [message.content for message in closing.history] == ["hi", "Hello!", "7 x 8?"]


@pytest.mark.parametrize("reading", Reading)
@pytest.mark.parametrize("forced", [False, True])
def test_the_prompts_are_those_that_the_simulator_is_shown_in_the_same_conversation(tmp_path, reading, forced):
    release, question = read(tmp_path, conversation())
    made = list(conversation_examples(release.conversations[0], question, reading, forced=forced))
    user = saying(*(example.completion for example in made))
    replies = [message.content for message in release.conversations[0].messages if message.role is Role.ASSISTANT]
    turns = len(replies) if forced else 10
    transcript = hold(
        user, saying(*replies), question=question, simulator=chatbench_user(reading=reading), max_turns=turns
    )
    assert [example.prompt for example in made] == user.shown
    assert transcript.answer == "B"
    assert transcript.messages[:-1] == release.conversations[0].messages


@pytest.mark.parametrize("evil", EVIL)
@pytest.mark.parametrize("reading", Reading)
def test_whatever_people_and_chatbots_wrote_is_learnt_up_to_one_end_marker(tmp_path, evil, reading):
    release, question = read(tmp_path, conversation(chat=[("You", evil), ("Bot", evil)]))
    spoken, _ = conversation_examples(release.conversations[0], question, reading)
    assert spoken.completion.count("[END]") == 1
    assert spoken.completion.endswith(" [END]")
    draft = ChatbenchFormat(reading).read(spoken.completion, situation(question), (), Aim.SPEAK)
    assert not draft.text.startswith("[")


def test_examples_are_of_the_chosen_questions_alone_and_keep_their_order(tmp_path):
    release = load_release(str(write_release(tmp_path)))
    chosen = [QUESTIONS[3]["question_id"], QUESTIONS[1]["question_id"]]
    made = examples(release.conversations, release.questions, chosen)
    assert [(example.row, example.turn) for example in made] == [(row, turn) for row in (1, 3) for turn in range(3)]


def test_a_share_of_the_answers_can_be_learnt_as_demanded_and_no_message_is(tmp_path):
    release = load_release(str(write_release(tmp_path, conversations=[conversation()] * 200)))
    made = examples(release.conversations, release.questions, release.questions, forced_share=0.25)
    demanded = [example for example in made if example.forced]
    assert {example.letter for example in demanded} == {"B"}
    assert 30 < len(demanded) < 70
    again = examples(release.conversations, release.questions, release.questions, forced_share=0.25)
    assert [example.forced for example in again] == [example.forced for example in made]


# Splits


def test_the_papers_number_of_questions_is_parted_as_in_the_paper():
    split = split_questions((f"q-{place}" for place in range(396)), 0)
    assert (len(split.train), len(split.held_out)) == (237, 159)


def test_no_question_is_on_both_sides_and_none_is_lost_in_any_split():
    ids = {f"q-{place}" for place in range(50)}
    splits = [split_questions(ids, seed) for seed in range(10)]
    assert all(split.train | split.held_out == ids and not split.train & split.held_out for split in splits)
    assert len({split.held_out for split in splits}) == 10


def test_a_split_depends_on_its_seed_and_the_questions_not_on_their_order():
    ids = [f"q-{place}" for place in range(50)]
    assert split_questions(ids, 3) == split_questions([*reversed(ids), ids[0]], 3)


@pytest.mark.parametrize(("count", "percent"), [(1, 40), (0, 40), (5, 0), (5, 100), (5, 90)])
def test_a_split_with_an_empty_side_is_refused(count, percent):
    with pytest.raises(ConfigError, match="one side of the split empty"):
        split_questions((f"q-{place}" for place in range(count)), 0, percent)


def test_a_model_that_says_what_it_learnt_is_read_as_the_person_was(tmp_path):
    """A user model that knows the example of each prompt by heart repeats the conversation."""
    release, question = read(tmp_path, conversation(chat=[("You", "a"), ("Bot", "b"), ("You", "c"), ("Bot", "d")]))
    said = release.conversations[0]
    known = {example.prompt: example.completion for example in conversation_examples(said, question)}
    user = ScriptedModel(lambda ask: known[ask.prompt(ask.history)])
    assert hold(user, saying("b", "d"), question=question).messages[:-1] == said.messages
