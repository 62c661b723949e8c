"""A run: its two participants, its dialogues, its warnings."""
