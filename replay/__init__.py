"""replay: what the router judged, judged again; what other settings would have made of it."""
