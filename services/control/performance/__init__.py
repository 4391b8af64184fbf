"""Do what performance rules demand, once."""
