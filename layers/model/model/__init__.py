"""A small language model that needs no network: SmolLM2-135M-Instruct, run by llama.cpp.

It implements the text interface of ``generation`` and is found by name when the stack asks for it.
"""
