"""The released data set of people's conversations, or a folder of its layout."""
