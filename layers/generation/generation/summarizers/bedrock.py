"""Summaries by Amazon Bedrock."""

from generation.bedrock import BedrockText
from generation.summaries import Summarizer


class BedrockSummary(Summarizer):
    """Summarises with its models."""

    writer = BedrockText
    settings = BedrockText.settings
