"""The control surface: what the product backend asks for over REST, and operators by gRPC.

Before it: Envoy, which asks this process whether a request may pass (token, path, body) and turns
JSON into gRPC. After it: PostgreSQL, where a change, its audit entry and its number are one
transaction, and a wake-up in Redis for those who keep an index.

Reads: requests; subscriptions, triggers, decisions, fills, lots, orders. Writes: subscription,
trigger, halt, control_change, idempotency. May repeat: every wake-up, and a create under its
idempotency key. May lose: a wake-up (readers poll), never a change it has answered.
"""
