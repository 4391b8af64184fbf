"""The decisions of the exchange: money, margin, orders, the end of a contract. No I/O, no clock."""
