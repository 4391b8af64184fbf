"""Compute what is known of leaders and markets, and keep it in Redis as versioned documents."""
