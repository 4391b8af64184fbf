"""The executor's decisions, pure: what an answer means, and what the last gate lets through."""
