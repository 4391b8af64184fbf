"""Base backups of PostgreSQL: taken beside its work, tried on a server of their own, put back.

A base backup and no dump: seals name transactions by their numbers (schema/seals.sql), and a dump
that is loaded begins with new ones. What is in Redis is built anew from PostgreSQL; the signer's
master keys are kept apart on purpose (docs/operating.md#trading-wallets).
"""
