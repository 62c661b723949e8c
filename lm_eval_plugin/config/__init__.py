"""A task's `dialogue:` block, read once and checked."""
