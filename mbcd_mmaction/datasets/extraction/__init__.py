"""Flow and sound of a person's own videos, computed once and kept."""
