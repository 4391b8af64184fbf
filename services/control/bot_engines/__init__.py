"""Engines of bots as people see and drain them (`services/bots`)."""
