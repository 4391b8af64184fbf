"""Performance rules on the real money path: marks and bookings in, actions and exits out."""
