r"""Parting what a model says from what it thought aloud, in whatever marks it was trained to put around its thoughts.

| marks | whose | source |
|---|---|---|
| `<think>`, `<thinking>`, `<thought>`, `<reasoning>` | DeepSeek-R1, Qwen3, SmolLM3, EXAONE and most others | their chat templates |
| `<seed:think>` | Seed-OSS | its chat template |
| `<reflection>`, `<analysis>`, `<scratchpad>` | Reflection-70B; prompts that ask for a scratchpad | their model cards |
| `[THINK]` | Magistral, Ministral | mistral-common, special tokens |
| `◁think▷` | Kimi-VL-Thinking | its chat template |
| `<\|START_THINKING\|>` | Command A Reasoning | its chat template, as are `<\|START_RESPONSE\|>` and `<\|END_RESPONSE\|>` |
| `<\|inner_prefix\|>` | Apertus | its chat template |
| `<\|channel>thought` to `<channel\|>` | Gemma 4 | its chat template |
| `<unused94>thought` to `<unused95>` | MedGemma | its model card |
| `Here is my thought process:` to `Here is my response:` | Granite 3.2 | its chat template |
| `<\|channel\|>analysis<\|message\|>` to `<\|channel\|>final<\|message\|>` | gpt-oss | OpenAI's harmony format |
| `analysis` to `assistantfinal` | the same where a decoder left the special tokens out | |

A tag may have spaces in it and any case. Where it is not sure that something is a thought, it is shown, and said to be unclear.
All of it takes time linear in the text's length.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_TAGS = ("think", "thinking", "thought", "reasoning", "seed:think", "reflection", "analysis", "scratchpad")


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks around a thought, as texts.

    Args:
        opening: Begins it.
        closing: Ends it.
    """

    opening: str
    closing: str


_TEXTS = (
    Marks("[THINK]", "[/THINK]"),
    Marks("◁think▷", "◁/think▷"),
    Marks("<|START_THINKING|>", "<|END_THINKING|>"),
    Marks("<|inner_prefix|>", "<|inner_suffix|>"),
    Marks("<|channel>thought", "<channel|>"),
    Marks("<unused94>thought", "<unused95>"),
)
_SPOKEN = Marks("Here is my thought process:", "Here is my response:")
_HARMONY = ("<|start|>", "<|channel|>", "<|constrain|>", "<|message|>", "<|end|>", "<|return|>", "<|call|>")
_ANY_TAG = "|".join(map(re.escape, _TAGS))
_TAG = rf"<[ \t]{{0,8}}(?P<slash>/?)[ \t]{{0,8}}(?P<tag>{_ANY_TAG})[ \t]{{0,8}}>"
_WRAPPERS = re.compile(
    r"\A\s*(?:<\|START_(?:RESPONSE|TEXT)\|>|<(?:response|answer|output)>)"
    r"|(?:<\|END_(?:RESPONSE|TEXT)\|>|</(?:response|answer|output)>)\s*\Z",
    re.IGNORECASE,
)
_CHANNEL = re.compile(
    r"(?:<\|start\|>\w{0,40}[ \t]{0,8})?<\|channel\|>[ \t]{0,8}(?P<channel>\w{1,40})[^<\n]{0,200}"
    r"(?:<\|constrain\|>[^<\n]{0,40})?<\|message\|>"
)
_CHANNEL_END = re.compile(r"<\|(?:end|return|call|start|channel)\|>")
_BARE_ANALYSIS = re.compile(r"\A\s*analysis(?=[A-Z\"'(*])")
_BARE_FINAL = re.compile(r"assistantfinal(?=\S)")
_BARE_CHANNEL = re.compile(r"assistant(?:analysis|commentary)(?=[A-Z\"'(*])")


@dataclass(frozen=True, slots=True)
class PartedReply:
    """A reply in its parts.

    Args:
        visible: What the other side sees.
        reasoning: What it does not.
        unclear: Whether something is shown that may be a thought: a mark that opens and never closes in the midst of a line,
            or the beginning of a channel without its end.
    """

    visible: str
    reasoning: str = ""
    unclear: bool = False


def mark_texts() -> frozenset[str]:
    """The marks that may be special tokens of a tokenizer, which decoding would leave out."""
    tags = (f"<{slash}{tag}>" for tag in _TAGS for slash in ("", "/"))
    pairs = (mark.removesuffix("thought") for marks in _TEXTS for mark in (marks.opening, marks.closing))
    return frozenset((*tags, *pairs, *_HARMONY))


def holds_marks(text: str) -> bool:
    """Whether a mark of thoughts stands in a text."""
    return _pattern(()).search(text) is not None or _CHANNEL.search(text) is not None


def opened_reasoning(prompt: str, declared: Sequence[Marks] = ()) -> str:
    """The mark that a prompt ends with, as some chat templates open a thought for the model; else empty.

    Args:
        prompt: What the model continues.
        declared: Marks that the model's chat template declares.
    """
    tail = prompt[-300:].rstrip()
    *_, last = [None, *_CHANNEL.finditer(tail)]
    if last is not None and last.end() == len(tail):
        return last[0]
    *_, mark = [None, *_pattern(tuple(declared)).finditer(tail)]
    return mark[0] if mark is not None and mark.end() == len(tail) and not _closes(mark, tuple(declared)) else ""


def split_reasoning(text: str, declared: Sequence[Marks] = ()) -> tuple[str, str]:
    """What of a reply the other side sees, and what it does not; see `part_reply`."""
    parted = part_reply(text, declared)
    return parted.visible, parted.reasoning


def part_reply(text: str, declared: Sequence[Marks] = ()) -> PartedReply:
    """Part a reply into what the other side sees and the thoughts that it does not.

    A thought that opens a line and is not closed runs to the end of the reply; a closing mark without an opening one ends a
    thought that began with the reply. A mark that is merely spoken of opens nothing.

    Args:
        text: What the model generated.
        declared: Marks that the model's chat template declares, beside the known ones.
    """
    if _CHANNEL.search(text):
        return _by_channels(text)
    if bare := _by_bare_channels(text):
        return bare
    blocks = _Blocks(text, tuple(declared))
    visible = blocks.visible
    if blocks.thoughts:
        visible = _WRAPPERS.sub("", visible)
    unclear = blocks.unclear or _BARE_ANALYSIS.match(text) is not None
    return PartedReply(visible.strip(), _joined(blocks.thoughts), unclear)


def _joined(thoughts: Sequence[str]) -> str:
    return "\n\n".join(part for part in (piece.strip() for piece in thoughts) if part)


def _by_channels(text: str) -> PartedReply:
    """Harmony's channels: `final` is said, every other one is thought."""
    said: list[str] = []
    thoughts: list[str] = []
    heads = list(_CHANNEL.finditer(text))
    before = _CHANNEL_END.split(text[: heads[0].start()], maxsplit=1)[0].strip()
    if before and before != "assistant":
        said.append(before)
    for head, following in zip(heads, [*(each.start() for each in heads[1:]), len(text)], strict=True):
        ended = _CHANNEL_END.search(text, head.end(), following)
        content = text[head.end() : ended.start() if ended else following]
        (said if head["channel"] == "final" else thoughts).append(content)
    return PartedReply(_joined(said), _joined(thoughts))


def _by_bare_channels(text: str) -> PartedReply | None:
    """The same where the special tokens were left out and the channels' names run into the text."""
    *thoughts, said = _BARE_FINAL.split(text)
    if not thoughts:
        return None
    begun = thoughts[0].lstrip().removeprefix("analysis")
    return PartedReply(said.strip(), _joined([*_BARE_CHANNEL.split(begun), *thoughts[1:]]))


_PATTERNS: dict[tuple[Marks, ...], re.Pattern[str]] = {}


def _pattern(declared: tuple[Marks, ...]) -> re.Pattern[str]:
    """Finds every mark; made once for the marks of a template."""
    if declared not in _PATTERNS:
        texts = [re.escape(mark) for marks in (*_TEXTS, *declared) for mark in (marks.opening, marks.closing)]
        spoken = [rf"(?:\A|(?<=\n)){re.escape(mark)}" for mark in (_SPOKEN.opening, _SPOKEN.closing)]
        _PATTERNS[declared] = re.compile("|".join([_TAG, *texts, *spoken]), re.IGNORECASE)
    return _PATTERNS[declared]


def _kind(mark: re.Match[str], declared: tuple[Marks, ...]) -> tuple[str, bool]:
    """Which marks a found one is of, and whether it closes."""
    if mark["tag"]:
        return mark["tag"].lower(), bool(mark["slash"])
    found = mark[0].lower()
    for marks in (*declared, *_TEXTS, _SPOKEN):
        if found in (marks.opening.lower(), marks.closing.lower()):
            return marks.opening, found == marks.closing.lower()
    raise AssertionError(mark[0])


def _closes(mark: re.Match[str], declared: tuple[Marks, ...]) -> bool:
    return _kind(mark, declared)[1]


class _Blocks:
    """A text parted by its marks.

    Attributes:
        visible: What is outside of every thought.
        thoughts: What is inside of each, in order.
        unclear: Whether an opening mark is left in what is visible.
    """

    def __init__(self, text: str, declared: tuple[Marks, ...]) -> None:
        self.thoughts: list[str] = []
        self.unclear = False
        self._shown: list[str] = []
        marks = [(mark, *_kind(mark, declared)) for mark in _pattern(declared).finditer(text)]
        closings: dict[str, list[re.Match[str]]] = {}
        for mark, kind, closes in marks:
            if closes:
                closings.setdefault(kind, []).append(mark)
        cursor = 0
        for mark, kind, closes in marks:
            if mark.start() < cursor:
                continue
            self._show(text[cursor : mark.start()])
            cursor = mark.end()
            if closes and kind != _SPOKEN.opening:
                self._end_thought_from_the_beginning()
                continue
            if closes:
                # A phrase is no proof that a thought was opened.
                self._show(mark[0])
                continue
            of_kind = closings.get(kind, [])
            index = bisect_left(of_kind, mark.end(), key=re.Match.start)
            if index < len(of_kind):
                self.thoughts.append(text[mark.end() : of_kind[index].start()])
                cursor = of_kind[index].end()
            elif self._line_is_empty() and kind != _SPOKEN.opening:
                self.thoughts.append(text[mark.end() :])
                cursor = len(text)
            else:
                self.unclear = True
                self._show(mark[0])
        self._show(text[cursor:])
        self.visible = "".join(self._shown)

    def _show(self, text: str) -> None:
        if text:
            self._shown.append(text)

    def _end_thought_from_the_beginning(self) -> None:
        """What was shown so far was a thought that the prompt had opened."""
        thought = "".join(self._shown)
        self.thoughts.append(thought)
        self._shown, self.unclear = [], False

    def _line_is_empty(self) -> bool:
        """Whether nothing but blanks stands before the next sign in its line of what is shown."""
        return all(not piece.strip() for piece in self._last_line())

    def _last_line(self) -> Iterator[str]:
        for piece in reversed(self._shown):
            _, newline, line = piece.rpartition("\n")
            yield line if newline else piece
            if newline:
                return
