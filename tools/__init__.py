"""Programs that keep the repository's own documents current; nothing here runs in the engine."""
