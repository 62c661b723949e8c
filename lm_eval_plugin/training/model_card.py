"""The model card of a trained simulator: data, recipe, seeds, results and how to use it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version

import jinja2

from lm_eval_plugin.training.recipe import Recipe

_TEMPLATE = """\
---
{% if recipe.tuning == "lora" -%}
base_model: {{ recipe.base | tojson }}
library_name: peft
{% else -%}
base_model: {{ recipe.base | tojson }}
library_name: transformers
{% endif -%}
tags: [user-simulation, chatbench]
---

# A simulated user, trained from `{{ recipe.base }}`

It plays the person in conversations about multiple-choice questions with a language model, and ends them with `Answer: X`.

## Use

With `chatbench-lm-eval` {{ version }}, as the simulator of an interactive task of lm-evaluation-harness:

```bash
lm_eval --tasks chatbench_mmlu --model hf --model_args pretrained=MODEL --metadata '{"dialogue": {"simulator": {{ simulator }}}}'
```

## Data

| | |
|---|---|
| conversations | `{{ data.source }}`{% if data.revision %}, revision `{{ data.revision }}`{% endif %}, `{{ data.study }}` |
| questions | {{ counts.train_questions }} to train on, {{ counts.held_out_questions }} held out (split {{ recipe.split }}, \
{{ recipe.held_out_percent }} %); none on both sides |
| conversations used | {{ counts.conversations }}; left out as unusable: {{ counts.unusable }} |
| examples | {{ counts.train }} to train on, {{ counts.held_out }} held out |
| cut to the window, as a simulation cuts | {{ counts.trimmed }} |
| too long for the window, left out | {{ counts.left_out }} |
| SHA-256 of the examples | `{{ data.sha256 }}` |

A conversation of k messages of a person gives k + 1 examples: each message, and the letter that was chosen. The prompt is \
in reading {{ recipe.reading }} of the released simulators' format.

## Recipe

| | |
|---|---|
{% for name, value in settings -%}
| {{ name }} | {{ value }} |
{% endfor %}
The optimizer is AdamW; seed {{ recipe.seed }} decides on order, dropout and new weights, seed {{ recipe.split }} on the split.

## Results

Perplexity a token of the held-out examples, over \
{{ "the replies with their end markers" if recipe.loss == "reply" else "the whole text" }}:

| | |
|---|---|
| base | {{ "%.4f" | format(results.before) }} |
{% for perplexity in results.after -%}
| after epoch {{ loop.index }} | {{ "%.4f" | format(perplexity) }} |
{% endfor %}
{{ results.updates }} updates. Scores under different simulators are not comparable.
"""


def model_card(
    recipe: Recipe,
    data: Mapping[str, object],
    results: Mapping[str, object],
    simulator: Mapping[str, object],
) -> str:
    """The card as Markdown.

    Args:
        recipe: How it was trained.
        data: Where the conversations are from, as `training.json` has it.
        results: Perplexities and counts, as `results.json` has them.
        simulator: The mapping that runs it.
    """
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  # a card is Markdown
    )
    return environment.from_string(_TEMPLATE).render(
        version=version("chatbench-lm-eval"),
        recipe=recipe,
        data=data,
        counts=results["counts"],
        results=results,
        simulator=json.dumps(simulator),
        settings=[(name.replace("_", " "), value) for name, value in recipe.model_dump().items() if value is not None],
    )
