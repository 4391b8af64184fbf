"""How bots, their orders, engines and limits stand, looked at for metrics."""
