"""Who speaks: language models of lm_eval, functions and people."""
