"""Fire take-profits and stop-losses of lots at prices that were really there.

Reads fills (confirm), marks (bookfeed), triggers and lots (PostgreSQL). Writes trigger states and
claims exits: trigger, reservation and journal record in one commit, then streams them to the
executor. May repeat: everything; an exit's key is made of trigger, generation and slice. May lose:
nothing; what a mark or a fill did not wake is found by looking once a second.
"""
