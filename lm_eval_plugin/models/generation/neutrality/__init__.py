"""Whether a model says the same in a shared batch and from cached keys, by its configuration and by a probe."""
