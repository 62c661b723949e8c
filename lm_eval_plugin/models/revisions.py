"""The commits of the published weights that this package was written against, in one place.

A revision given in `model_args` (`revision`, `adapter_revision`) goes over these; any other repository is taken at its
newest commit. Source: the bases' commits as many public projects pin them; those of the released simulators could not be
looked up where this was written, so they are taken at their newest commit and the commit in use is logged at loading.
"""

from __future__ import annotations

from collections.abc import Mapping

NEWEST = "main"

PINNED: Mapping[str, str] = {
    "distilgpt2": "2290a62682d06624634c1f46a6ad5be0f47f38aa",
    "distilbert/distilgpt2": "2290a62682d06624634c1f46a6ad5be0f47f38aa",
    "meta-llama/Meta-Llama-3-8B": "8cde5ca8380496c9a6cc7ef3a8b46a0372a1d920",
    "mistralai/Mistral-7B-v0.1": "7231864981174d9bee8c7687c24c8344414eae6b",
}
"""Commits by the name of the repository."""


def revision_of(name: str) -> str:
    """The commit at which a repository is taken where none is asked for."""
    return PINNED.get(name, NEWEST)
