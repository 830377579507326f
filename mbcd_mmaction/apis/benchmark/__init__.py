"""Many experiments by the tools: protocols, runs, records, clusters."""
