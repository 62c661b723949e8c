"""A dialogue: its question, its transcript and the loop that advances many at once; no lm_eval and no torch."""
