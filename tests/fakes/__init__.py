"""Pollinations and Google Translate as HTTP servers on this machine, on their good days and on their bad ones.

A prompt chooses what happens to its own request with a marker in double square brackets, such as
``a cat [[status:503]]``; ``tests.fakes.behaviour`` lists them. ``python -m tests.fakes`` serves both to another
process.
"""
