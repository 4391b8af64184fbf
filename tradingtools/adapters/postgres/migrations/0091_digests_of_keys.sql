-- Clients put a token where the key of a repeatable request belongs: only digests are kept.
-- depends: 0090_recent_decisions

update idempotency set key = encode(sha256(convert_to(key, 'UTF8')), 'hex');
