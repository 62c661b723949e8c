"""From transcripts to numbers: metrics, intervals, tests, summaries."""
