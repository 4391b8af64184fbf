"""The exact JSON shapes of OKX v5; nothing here decides."""
