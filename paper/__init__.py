"""paper/ is the world outside when it is not the real one."""
