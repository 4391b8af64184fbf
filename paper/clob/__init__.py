"""A paper CLOB: Polymarket's order API on its real wire, with money that adds up to the last unit.

Any client trades here as it does there, but for the URL. It shares no parser, signer or matching
with the engine's adapter.
"""
