"""Which events a row of a source table is, and up to where the log can be made. Pure."""
