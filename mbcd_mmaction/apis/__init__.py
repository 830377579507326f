"""What the tools call: command lines, checks and whole experiments."""
