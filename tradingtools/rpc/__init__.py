"""gRPC as every process speaks it: transport, callers, errors, validation, streams, TLS."""
