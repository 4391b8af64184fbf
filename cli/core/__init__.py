"""Figures that `tt` works out from answers: no I/O, no clock."""
