"""The simulated users, one policy a file, and the loop that they talk in."""
