"""`python -m lm_eval_plugin.demo.people DIR` does what `chatbench make-people DIR` does."""

import sys

from lm_eval_plugin.training.demo.people import main

if __name__ == "__main__":
    sys.exit(main())
