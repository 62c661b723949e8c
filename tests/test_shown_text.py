"""What others wrote is shown as it is and acts on nothing."""

from __future__ import annotations

import pytest

from lm_eval_plugin.border.escaping import in_markdown, shortened, visible

HOSTILE = "a|b<script>]]>&\x00\x1b[31m\u202e\ud800@you #77\n# x `[y](http://z) **b** www.x $m$"


def test_a_visible_text_is_one_line_that_can_be_encoded_and_holds_nothing_that_acts():
    shown = visible(HOSTILE)
    shown.encode()
    assert not {"\x00", "\x1b", "\u202e", "\n"} & set(shown)
    assert visible(shown) == shown


def test_a_text_is_cut_only_where_it_is_too_long():
    assert shortened("abc", 3) == "abc"
    assert shortened("abcd", 3) == "ab…"


@pytest.mark.parametrize("structure", ["|", "<script>", "](", "**", "`", "$", "http://", "www.", "@you", "#77"])
def test_in_markdown_nothing_is_structure_a_link_or_a_mention(structure):
    assert structure in visible(HOSTILE)
    assert structure not in in_markdown(HOSTILE)


def test_plain_words_stay_readable_in_markdown():
    assert in_markdown("meta-llama/Llama-3.1-8B (2026-01-01), 50 %") == "meta-llama/Llama-3.1-8B (2026-01-01), 50 %"
