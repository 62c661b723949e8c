"""What this package takes of lm_eval beside the evaluator and the task manager: registry, model classes, private names."""
