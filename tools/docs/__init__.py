"""The tables of the documentation, written from what they tell of: descriptors, template, description, Makefile."""
