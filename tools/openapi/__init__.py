"""The description of the API: made from the functions, compared with the committed one, written."""
