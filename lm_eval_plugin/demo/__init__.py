"""The bundled demo: a tiny model under test and a tiny simulated user, trained on questions written for it."""
