"""Comparisons and sums: pure."""
