"""What operators see and do: halts, orders, corrections, approvals, the audit."""
