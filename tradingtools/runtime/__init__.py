"""The scaffolding of a process: settings, start and stop, gRPC server, errors, telemetry."""
