-- Everything the paper insiders-api must not forget. Amounts are micros, instants ms or ns since
-- the epoch. Orders carry no unique key on purpose: without capability A several may share one.
CREATE TABLE IF NOT EXISTS orders (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    order_id TEXT NOT NULL UNIQUE,
    key TEXT NOT NULL,
    body_sha256 TEXT NOT NULL,
    side TEXT NOT NULL CHECK (side IN ('BUY', 'SELL')),
    user_id TEXT NOT NULL,
    wallet_id TEXT NOT NULL,
    proxy TEXT NOT NULL,
    condition_id TEXT NOT NULL,
    asset_id TEXT NOT NULL,
    size INTEGER NOT NULL CHECK (size > 0),
    limit_price INTEGER NOT NULL CHECK (limit_price > 0),
    order_type TEXT NOT NULL CHECK (order_type IN ('FAK', 'FOK')),
    not_after_ms INTEGER,
    status TEXT NOT NULL CHECK (status IN ('ACCEPTED', 'MATCHED', 'KILLED')),
    accepted_ms INTEGER NOT NULL,
    match_due_ms INTEGER NOT NULL,
    reserved INTEGER NOT NULL CHECK (reserved >= 0),
    settlement TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS orders_by_key ON orders (key, seq);
CREATE INDEX IF NOT EXISTS orders_waiting ON orders (match_due_ms) WHERE status = 'ACCEPTED';
CREATE INDEX IF NOT EXISTS orders_reserving ON orders (proxy) WHERE status = 'ACCEPTED';

CREATE TABLE IF NOT EXISTS trades (
    trade_id TEXT PRIMARY KEY,
    order_seq INTEGER NOT NULL REFERENCES orders (seq),
    number INTEGER NOT NULL,
    size INTEGER NOT NULL CHECK (size > 0),
    price INTEGER NOT NULL,
    notional INTEGER NOT NULL,
    fee INTEGER NOT NULL,
    status TEXT NOT NULL,
    settlement TEXT NOT NULL,
    matched_ms INTEGER NOT NULL,
    transaction_hash TEXT,
    due_ms INTEGER, -- when the next step of settlement is due; NULL at the end
    UNIQUE (order_seq, number)
) STRICT;
CREATE INDEX IF NOT EXISTS trades_due ON trades (due_ms) WHERE due_ms IS NOT NULL;

CREATE TABLE IF NOT EXISTS wallets (
    proxy TEXT PRIMARY KEY,
    cash INTEGER NOT NULL,
    mode TEXT NOT NULL CHECK (mode IN ('open', 'closed_only', 'forbidden'))
) STRICT;

CREATE TABLE IF NOT EXISTS positions (
    proxy TEXT NOT NULL,
    asset_id TEXT NOT NULL,
    condition_id TEXT NOT NULL,
    size INTEGER NOT NULL,
    PRIMARY KEY (proxy, asset_id)
) STRICT;

-- What owners of wallets did themselves, past the engine.
CREATE TABLE IF NOT EXISTS hand_trades (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    proxy TEXT NOT NULL,
    asset_id TEXT NOT NULL,
    condition_id TEXT NOT NULL,
    side TEXT NOT NULL CHECK (side IN ('BUY', 'SELL')),
    size INTEGER NOT NULL CHECK (size > 0),
    notional INTEGER NOT NULL CHECK (notional >= 0),
    traded_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS taken (
    asset_id TEXT NOT NULL,
    side TEXT NOT NULL, -- of the orders that took
    price INTEGER NOT NULL,
    level_size INTEGER NOT NULL,
    level_changed_ms INTEGER NOT NULL,
    size INTEGER NOT NULL,
    PRIMARY KEY (asset_id, side, price)
) STRICT;

CREATE TABLE IF NOT EXISTS voids (
    key TEXT PRIMARY KEY,
    voided_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS redemptions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL,
    body_sha256 TEXT NOT NULL,
    proxy TEXT NOT NULL,
    condition_id TEXT NOT NULL,
    payout INTEGER NOT NULL,
    redeemed_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS redemptions_by_key ON redemptions (key, seq);

CREATE TABLE IF NOT EXISTS journal (
    id INTEGER PRIMARY KEY,
    arrived_ns INTEGER NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    key TEXT,
    body_sha256 TEXT NOT NULL,
    body TEXT NOT NULL,
    ledger INTEGER,
    fault TEXT NOT NULL,
    accepted INTEGER NOT NULL DEFAULT 0,
    order_id TEXT,
    status INTEGER,
    code TEXT,
    answered_ns INTEGER
) STRICT;

-- What the control port was told (capabilities, books, faults), as JSON.
CREATE TABLE IF NOT EXISTS control (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
