"""`python -m lm_eval_plugin.demo.people FOLDER` writes conversations of made-up people about the demo's questions."""

from lm_eval_plugin.training.demo.people import main

if __name__ == "__main__":
    main()
