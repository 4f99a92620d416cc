"""Summaries by the models of Amazon Bedrock."""

from generation.bedrock import BedrockText
from generation.summaries import Summarizer


class BedrockSummary(Summarizer):
    """Summarises with Bedrock's models."""

    writer = BedrockText
    settings = BedrockText.settings
