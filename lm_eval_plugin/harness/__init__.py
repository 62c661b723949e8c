"""Where the package meets lm_eval: tasks, request types, results."""
