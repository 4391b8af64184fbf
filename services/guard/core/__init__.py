"""The guard's decisions, pure: does a trigger fire, and what follows when its exit has ended."""
