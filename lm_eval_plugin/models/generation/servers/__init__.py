"""Replies of a model behind an API: requests, retries, outages."""
