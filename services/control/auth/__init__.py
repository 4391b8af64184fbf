"""Who calls: tokens, what they may do, how often, and what is written down of refusals."""
