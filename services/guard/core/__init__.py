"""Pure decisions of the guard: does a trigger fire, and what follows its exit."""
