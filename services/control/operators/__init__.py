"""Serve operators: halts, orders, corrections, approvals, the audit."""
