"""What the tools of figures share: trained models, their clips, the files."""
