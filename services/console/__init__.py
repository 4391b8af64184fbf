"""console: serves the pages that people look at, and passes their calls on with their tokens."""
