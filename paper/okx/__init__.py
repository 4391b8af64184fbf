"""A paper exchange that speaks OKX's own REST and web sockets (v5): spot, perpetual and dated
contracts, cash and margin, funding, liquidation. Any client trades with it by another URL.

It shares no code with the engine's adapter of OKX: what both got wrong would look right.
"""
