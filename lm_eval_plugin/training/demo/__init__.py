"""How the bundled models and the made-up people were made."""
