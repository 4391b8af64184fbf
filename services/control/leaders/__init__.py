"""Tell who is worth following, by enrichment's newest snapshot."""
