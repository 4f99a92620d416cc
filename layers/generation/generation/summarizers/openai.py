"""Summaries by any server of OpenAI's shape."""

from generation.openai import OpenAi
from generation.summaries import Summarizer


class OpenaiSummary(Summarizer):
    """Summarises with the server's models."""

    writer = OpenAi
    settings = OpenAi.settings
