"""Find out what became of orders, and book it.

Reads order events (executor), orders by key (insiders-api), open orders (PostgreSQL). Writes fills,
lots, bookings, and the ends of orders. May repeat: everything; a trade is booked once by its id.
May lose: nothing; open orders are looked at until they are not open.
"""
