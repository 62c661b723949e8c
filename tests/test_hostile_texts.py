import hostile_texts


def test_two_hundred_texts_forge_nothing_and_are_read_or_refused():
    hostile_texts.check_many(200, derandomize=True)
