"""Pictures, each drawn from the numbers that its tool wrote; matplotlib."""
