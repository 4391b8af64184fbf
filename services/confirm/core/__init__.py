"""Pure decisions of confirm: bookings, lots first in first out, unknown orders."""
