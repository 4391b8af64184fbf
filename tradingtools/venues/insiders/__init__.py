"""insiders-api over HTTP: the only door through which orders leave."""
