"""Providers of text as providers of summaries: a module for each, so that only those that are asked are imported."""
