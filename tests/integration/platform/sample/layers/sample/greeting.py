"""What the layer brings."""

WORD = "well,"
