"""The port that Envoy reaches: admission of REST requests, and the seal of those admitted."""
