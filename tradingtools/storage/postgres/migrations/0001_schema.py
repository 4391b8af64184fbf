"""The schema of 0.1.0. Later changes are migrations of their own."""

from yoyo import step

from tradingtools.storage.postgres.schema import SUBJECTS, text

# A function may speak of tables that a later subject makes.
steps = [step("set local check_function_bodies = off"), *(step(text(name)) for name in SUBJECTS)]
