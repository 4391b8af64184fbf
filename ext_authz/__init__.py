"""Generated from third_party/ext_authz: what Envoy asks an authorization service."""
