"""`tt`, the command line: look at an engine, find out why, and act on it.

It knows the public surface (``tradingtools_client``), the operators' gRPC, and no process from
inside. What takes long to import is imported by the command that needs it.
"""
