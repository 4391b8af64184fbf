"""The router's decisions, pure: sizing, and the plan for a whole leader trade."""
