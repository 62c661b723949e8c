"""The user alone and with the model, worked out by hand."""

from dataclasses import replace

import pytest
from doubles import PRODUCT

from lm_eval_plugin.dialogue.transcript import AloneAnswer, Message, Role, StopReason, Transcript
from lm_eval_plugin.scoring.alone_and_together import CELLS, cells_alone
from lm_eval_plugin.scoring.kinds import Kind
from lm_eval_plugin.scoring.metrics import QuestionRecord, question_metrics
from lm_eval_plugin.scoring.statistics import mean_estimate, paired_test
from lm_eval_plugin.scoring.summary import summarize, summarize_group

ALONE = ("acc_user_alone", "uplift", "alone_wrong_together_right", "alone_right_together_wrong", "valid_user_alone")


def own(letter):
    return None if letter is None else AloneAnswer(None if letter == "-" else letter, "generated")


def held(together, *, alone=None, belief=None, repeat=0):
    said = (Message(Role.USER, "7 x 8?"), Message(Role.ASSISTANT, "56."), Message(Role.USER, f"Answer: {together}"))
    failed = together is None
    reason = StopReason.MODEL_ERROR if failed else StopReason.ANSWERED
    return Transcript(*(PRODUCT.id, "demo", repeat, 0, said, together, reason), alone=own(alone), belief=own(belief))


def record(name, *dialogues):
    return QuestionRecord(replace(PRODUCT, id=name), frozenset("B"), dialogues)


def metrics(*dialogues):
    found = question_metrics(record("q", *dialogues))
    return {name: found[name] for name in ALONE if name in found}


@pytest.mark.parametrize("kind", ["alone", "belief"])
def test_right_and_wrong_alone_and_together_by_hand(kind):
    four = [held(together, **{kind: alone}) for alone, together in ["BB", "BC", "CB", "CC"]]
    assert metrics(*four[:1]) == {
        "acc_user_alone": 1, "uplift": 0, "alone_right_together_wrong": 0, "valid_user_alone": 1,
    }  # fmt: skip
    assert metrics(four[1])["uplift"] == -1
    assert metrics(four[2]) == {
        "acc_user_alone": 0, "uplift": 1, "alone_wrong_together_right": 1, "valid_user_alone": 1,
    }  # fmt: skip
    assert metrics(*four) == {
        "acc_user_alone": 0.5,
        "uplift": 0,
        "alone_wrong_together_right": 0.5,
        "alone_right_together_wrong": 0.5,
        "valid_user_alone": 1,
    }


def test_dialogue_without_an_answer_alone_has_none_of_these():
    assert metrics(held("B")) == {}
    assert "against_user_alone" not in summarize([record("q", held("B"))])


def test_answer_alone_that_is_no_letter_is_left_out_and_told():
    found = metrics(held("B", alone="-"), held("B", alone="C", repeat=1))
    assert found == {
        "acc_user_alone": 0,
        "uplift": 1,
        "alone_wrong_together_right": 1,
        "valid_user_alone": 0.5,
    }
    assert metrics(held("B", alone="-")) == {"valid_user_alone": 0}


def test_dialogue_that_a_model_error_ended_is_in_none_of_these():
    assert metrics(held(None, alone="B")) == {}


def test_with_both_accuracy_is_of_the_answer_apart_and_change_of_the_belief():
    found = metrics(held("B", alone="B", belief="C"))
    assert found["acc_user_alone"] == 1
    assert found["uplift"] == 0
    assert found["alone_wrong_together_right"] == 1
    assert "alone_right_together_wrong" not in found


def test_unread_belief_beside_a_letter_apart_is_told():
    assert metrics(held("B", alone="B", belief="-")) == {"acc_user_alone": 1, "uplift": 0, "valid_user_alone": 0}


RECORDS = [
    record("a", held("B", alone="B"), held("C", alone="B", repeat=1)),
    record("b", held("B", alone="C"), held("B", alone="C", repeat=1)),
    record("c", held("C", alone="C"), held(None, alone="C", repeat=1)),
    record("d", held("B", alone="-"), held("B", alone="-", repeat=1)),
]
PAIRS = {"a": [(1, 1), (1, 0)], "b": [(0, 1), (0, 1)], "c": [(0, 0)]}


def test_cells_are_shares_of_the_dialogues_that_add_up_to_one_with_their_intervals():
    found = summarize(RECORDS)["against_user_alone"]
    assert {name: each["value"] for name, each in found["cells"].items()} == pytest.approx(
        {
            "right_alone_right_together": 0.5 / 3,
            "right_alone_wrong_together": 0.5 / 3,
            "wrong_alone_right_together": 1 / 3,
            "wrong_alone_wrong_together": 1 / 3,
        }
    )
    for name, which in CELLS.items():
        expected = mean_estimate([[float(pair == which) for pair in pairs] for pairs in PAIRS.values()], Kind.SHARE)
        assert found["cells"][name] == {key: getattr(expected, key) for key in found["cells"][name]}


def test_test_is_paired_over_the_dialogues_with_both():
    found = summarize(RECORDS)
    expected = paired_test([[1, 0], [1, 1], [0]], [[1, 1], [0, 0], [0]], Kind.SHARE)
    test = found["against_user_alone"]["test"]
    assert test == {key: getattr(expected, key) for key in test}
    assert found["metrics"]["uplift"]["value"] == pytest.approx(test["difference"])


def test_group_takes_its_tasks_for_strata():
    group = summarize_group([RECORDS[:2], RECORDS[2:]])["against_user_alone"]
    expected = paired_test([[1, 0], [1, 1], [0]], [[1, 1], [0, 0], [0]], Kind.SHARE, strata=[0, 0, 1])
    assert group["test"] == {key: getattr(expected, key) for key in group["test"]}
    assert sum(each["value"] for each in group["cells"].values()) == pytest.approx(1)


def test_task_without_an_answer_alone_takes_nothing_from_its_group():
    with_none = summarize_group([RECORDS[:3], [record("z", held("B"))]])["against_user_alone"]
    assert with_none == summarize_group([RECORDS[:3]])["against_user_alone"]
    assert cells_alone([[record("z", held("B"))]]) == {}
