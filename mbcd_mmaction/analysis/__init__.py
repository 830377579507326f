"""Numbers first, then pictures."""
