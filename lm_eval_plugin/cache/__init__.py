"""Finished dialogues on disk, and what tells one model from another."""
