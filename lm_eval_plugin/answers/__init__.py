"""From a text to an option of its question: the user's final answer, strictly, and what an assistant's reply supports."""
