"""A ClickHouse server to try against: the real engine over HTTP, with roles and faults."""
