"""Summaries by Pollinations."""

from generation.pollinations_text import PollinationsText
from generation.summaries import Summarizer


class PollinationsSummary(Summarizer):
    """Summarises with its models."""

    writer = PollinationsText
    settings = PollinationsText.settings
