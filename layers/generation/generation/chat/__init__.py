"""Conversations: sessions in DynamoDB, their messages in S3, and one turn at a time."""
