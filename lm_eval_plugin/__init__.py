"""Interactive evaluation of language models: conversations with simulated users inside lm-evaluation-harness."""
