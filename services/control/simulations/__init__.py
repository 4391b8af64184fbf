"""Simulations of the past, computed beside this process."""
