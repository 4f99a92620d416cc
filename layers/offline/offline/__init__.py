"""Engines that need no network: drawings in place of pictures, and synthetic speech.

They implement the provider interface of ``generation`` and are found by name when the stack asks for them.
"""
