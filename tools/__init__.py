"""Programs of those who build the engine; no process of the engine imports anything from here.

They may import the cores of services: what they check must be the very code, not a copy.
"""
