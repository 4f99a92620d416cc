"""The generation plane: providers, records in S3, and the history index of each user."""
