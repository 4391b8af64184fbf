"""The exact JSON shapes of the venue; nothing here decides."""
