"""Look at how bots, their orders, engines and limits stand, for metrics."""
