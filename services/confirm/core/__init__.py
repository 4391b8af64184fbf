"""confirm's decisions, pure: bookings, lots first in first out, and the fate of unknown orders."""
