import pytest
from hypothesis import given
from hypothesis import strategies as st
from lm_eval.models.anthropic_llms import AnthropicChat
from lm_eval.models.openai_completions import LocalChatCompletion, LocalCompletionsAPI
from lm_eval.models.sglang_generate_API import SGLANGGENERATEAPI

from lm_eval_plugin.models.generation.servers.replies import ServerText, server_texts

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "content", "thinking", "choices", "message", "index"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


def backend(kind, think_end=None):
    """A backend that was told nothing but what reading needs."""
    lm = kind.__new__(kind)
    lm.think_end_token = think_end
    return lm


CHAT = backend(LocalChatCompletion)


def said(content, lm=CHAT, **message):
    """What is read of a chat completion with such a content."""
    return server_texts(lm, {"choices": [{"index": 0, "message": {"content": content, **message}}]})[0]


@pytest.mark.parametrize(
    ("content", "text", "reasoning"),
    [
        ("It is B.", "It is B.", ""),
        ("", "", ""),
        ([{"type": "text", "text": "It is B."}], "It is B.", ""),
        ([{"type": "text", "text": "It "}, {"type": "text", "text": "is B."}], "It is B.", ""),
        ([{"type": "thinking", "thinking": "7 x 8"}, {"type": "text", "text": "B"}], "B", "7 x 8"),
        (
            [{"type": "thinking", "thinking": [{"type": "text", "text": "7 x 8"}]}, {"type": "text", "text": "B"}],
            "B",
            "7 x 8",
        ),
        ([{"type": "output_text", "text": "B"}, {"type": "image_url", "image_url": "x"}], "B", ""),
        (["It ", "is B."], "It is B.", ""),
        ({"type": "text", "text": "B"}, "B", ""),
        ({"text": {"value": "B"}}, "B", ""),
    ],
)
def test_text_of_a_content_in_any_shape_is_read(content, text, reasoning):
    assert said(content) == ServerText(text, reasoning)


@pytest.mark.parametrize(
    "content", [None, 56, 5.6, True, False, {}, [], {"a": 1}, [56], [None], [{"type": "text"}], [{}]]
)
def test_content_without_a_text_is_no_text_and_not_an_empty_one(content):
    assert said(content).text is None


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_thoughts_beside_the_content_are_no_part_of_it(name):
    assert said("B", **{name: "7 x 8"}) == ServerText("B", "7 x 8")


def test_thoughts_in_the_content_end_at_the_backends_mark():
    assert said("7 x 8</hm> B", backend(LocalChatCompletion, "</hm>")) == ServerText("B", "7 x 8")


@pytest.mark.parametrize("indices", [(1, 0), (1, None), (None, None), (0, 0), ("1", "0"), (True, False)])
@pytest.mark.parametrize("missing", [True, False])
def test_choices_are_in_the_order_of_their_indices_or_as_they_stand(indices, missing):
    choices = [
        {"text": text} if index is None and missing else {"text": text, "index": index}
        for text, index in zip("ab", indices, strict=True)
    ]
    read = [each.text for each in server_texts(backend(LocalCompletionsAPI), {"choices": choices})]
    assert read == (["b", "a"] if indices == (1, 0) and type(indices[0]) is int else ["a", "b"])


def test_messages_of_anthropic_and_of_sglang_are_read():
    parts = [{"type": "thinking", "thinking": "7 x 8"}, {"type": "text", "text": "B"}]
    assert server_texts(backend(AnthropicChat), {"content": parts}) == [ServerText("B", "7 x 8")]
    assert server_texts(backend(SGLANGGENERATEAPI), [{"text": "B"}, {"text": 5}]) == [ServerText("B"), ServerText(None)]


@pytest.mark.parametrize("kind", [LocalChatCompletion, LocalCompletionsAPI, AnthropicChat, SGLANGGENERATEAPI])
@given(ANYTHING)
def test_any_other_shape_is_one_of_the_errors_that_are_announced(kind, reply):
    try:
        texts = server_texts(backend(kind), reply)
    except (ValueError, LookupError, TypeError, AttributeError):
        return
    assert all(each.text is None or isinstance(each.text, str) for each in texts)
