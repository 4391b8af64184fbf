"""People: passwords, sessions with their tokens, roles, and what an admin does about them."""
