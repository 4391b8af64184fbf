"""What the exchange decides: money, margin, orders, the end of a contract; no I/O and no clock."""
