"""The only place that does I/O towards the outside: databases, feeds, insiders-api."""
