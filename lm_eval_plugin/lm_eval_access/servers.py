"""lm_eval's backends behind an API."""

from __future__ import annotations

from lm_eval.models.anthropic_llms import AnthropicChat
from lm_eval.models.api_models import TemplateAPI
from lm_eval.models.openai_completions import LocalChatCompletion

__all__ = ("AnthropicChat", "LocalChatCompletion", "TemplateAPI")
