"""The texts in a server's reply, whatever shape it gives them.

| API | where a text stands |
|---|---|
| chat completions | `choices[].message.content`, thoughts in `reasoning_content` or `reasoning` |
| completions | `choices[].text` |
| Anthropic messages | `content[]`, a message in parts |
| SGLang generate | `text` |

A text is a string, or is made of parts, of which those of type `thinking` or `reasoning` are thoughts. A number, a boolean or a
mapping without a text is none. Choices come in the order of `index` where each has one of its own, else as they stand.

Source: the API references of OpenAI, Anthropic, vLLM and SGLang. Deviation from lm_eval's `parse_generations`: a missing or null
`index`, parts and thoughts are read; what has no text is None and never an empty text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lm_eval.models.anthropic_llms import AnthropicChat
from lm_eval.models.api_models import TemplateAPI
from lm_eval.models.openai_completions import LocalChatCompletion, LocalCompletionsAPI
from lm_eval.models.sglang_generate_API import SGLANGGENERATEAPI

_THOUGHTS = ("thinking", "reasoning", "redacted_thinking", "reasoning_text", "summary_text")
_TEXTS = ("text", "output_text", "content", "value")


@dataclass(frozen=True, slots=True)
class ServerText:
    """What one choice of a reply holds.

    Args:
        text: What is said; None if there is no text.
        reasoning: What was thought before.
    """

    text: str | None
    reasoning: str = ""


def server_texts(lm: TemplateAPI, reply: Any) -> list[ServerText]:
    """The texts of a reply, one for each prompt of the request.

    Args:
        lm: The backend, which tells the API.
        reply: The body, read as JSON.

    Raises:
        ValueError, LookupError, TypeError, AttributeError: It is no reply of this API.
    """
    if isinstance(lm, LocalChatCompletion):
        return [_message(choice["message"], lm.think_end_token) for choice in _in_order(reply["choices"])]
    if isinstance(lm, AnthropicChat):
        return [_parts(reply["content"])]
    if isinstance(lm, SGLANGGENERATEAPI):
        return [_parts(each["text"]) for each in (reply if isinstance(reply, list) else [reply])]
    if type(lm).parse_generations is LocalCompletionsAPI.parse_generations:
        return [_parts(choice["text"]) for choice in _in_order(reply["choices"])]
    return [_parts(text) for text in lm.parse_generations(outputs=reply)]


def _in_order(choices: Any) -> Sequence[Mapping[str, Any]]:
    if not isinstance(choices, list):
        raise TypeError("choices is no list")
    indices = [choice.get("index") for choice in choices]
    told = all(type(index) is int for index in indices) and len(set(indices)) == len(indices)
    return sorted(choices, key=lambda choice: choice["index"]) if told else choices


def _message(message: Mapping[str, Any], think_end: str | None) -> ServerText:
    said = _parts(message.get("content"))
    beside = next(
        (given for name in ("reasoning_content", "reasoning") if isinstance(given := message.get(name), str)), ""
    )
    text, thought = said.text, ""
    if text is not None and think_end and str(think_end) in text:
        thought, _, text = text.rpartition(str(think_end))
        text = text.lstrip()
    return ServerText(text, "\n\n".join(part for part in (beside, said.reasoning, thought.strip()) if part))


def _parts(content: Any) -> ServerText:
    """The text of a content: a string, one part, or a list of parts."""
    if isinstance(content, str):
        return ServerText(content)
    texts: list[str] = []
    thoughts: list[str] = []
    for part in content if isinstance(content, list) else [content]:
        text = _text_of(part)
        if text is not None:
            (thoughts if _is_thought(part) else texts).append(text)
    return ServerText("".join(texts) if texts else None, "\n\n".join(thoughts))


def _is_thought(part: Any) -> bool:
    return isinstance(part, Mapping) and (part.get("type") in _THOUGHTS or ("type" not in part and "thinking" in part))


def _text_of(part: Any) -> str | None:
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping):
        return None
    names = (*_THOUGHTS, *_TEXTS) if _is_thought(part) else _TEXTS
    for name in names:
        given = part.get(name)
        # Mistral gives a thought as parts of its own, other servers a text with a value in it.
        inner = _parts(given).text if isinstance(given, list | Mapping) else given
        if isinstance(inner, str):
            return inner
    return None
