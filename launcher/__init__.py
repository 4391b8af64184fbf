"""Everything around the engine on one machine: embedded stores, Envoy, supervision, live view."""
