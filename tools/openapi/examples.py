"""Requests as a client would write them. A test sends each through the edge, and expects success.

Keyed by RPC: the body, or the query where there is none. What the path names is filled in by the
test with what the creates have answered, and so are ``{id}`` in a value and the wallet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WALLET = "0x1111111111111111111111111111111111111111"
LEADER = "0x2222222222222222222222222222222222222222"
SUBSCRIPTION = "sub_00000000000000000000000000000001"

EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "CreateSubscription": {
        "follower": {
            "followerUserId": "user-1",
            "followerWalletId": "wallet-1",
            "followerProxy": WALLET,
        },
        "leader": LEADER,
        "sizing": {"ratio": {"ratio": "0.1"}},
        "limits": {"maxPerTrade": "50", "maxPerMarket": "200", "maxSlippage": "0.02"},
    },
    "ListSubscriptions": {"followerProxy": WALLET, "pageSize": 20},
    "UpdateSubscription": {"sizing": {"fixed": {"amount": "25"}}, "limits": {"maxPerTrade": "30"}},
    "GetLeaderSimulation": {"amount": "20", "delaySeconds": 3, "budget": "1000"},
    "GetBacktest": {"leader": LEADER, "sizing": {"fixed": {"amount": "20"}}},
    "GetSettingsPreview": {"limits": {"maxPerTrade": "30"}, "hours": 24},
    "ListSubscriptionFills": {"pageSize": 100},
    "ListSubscriptionDecisions": {"reason": "TOO_OLD"},
    "ListSubscriptionPositions": {"conditionId": "0x" + "3" * 64},
    "GetSubscriptionDrift": {"pageSize": 100},
    "ListResyncs": {"pageSize": 20},
    "ListFollowerOrders": {"followerProxy": WALLET, "state": "ORDER_STATE_CONFIRMED"},
    "CreateTrigger": {
        "wallet": WALLET,
        "conditionId": "0x" + "3" * 64,
        "assetId": "71321045679252212594626385532706912750332728571942532289631379312455583992563",
        "triggerType": "TRIGGER_TYPE_TAKE_PROFIT",
        "triggerPrice": "0.75",
        "size": "10.5",
        "subscriptionId": SUBSCRIPTION,
    },
    "CreateSimpleTrigger": {
        "walletAddress": WALLET,
        "conditionId": "0x" + "3" * 64,
        "assetId": "71321045679252212594626385532706912750332728571942532289631379312455583992563",
        "triggerType": "stop_loss",
        "triggerPrice": 0.35,
        "size": 25.5,
        "manualLot": {
            "followerUserId": "user-1",
            "followerWalletId": "wallet-1",
            "heldSize": "80",
        },
    },
    "ListEventPage": {"after": "0", "types": "order.*,copy.skipped"},
    "FollowEvents": {"after": "0", "types": "order.*"},
    "CreateWebhookEndpoint": {
        "url": "https://example.org/hooks",
        "types": ["order.*", "position.closed"],
        "description": "the ledger",
    },
    "UpdateWebhookEndpoint": {"types": ["order.*"], "enabled": True},
    "ReplayWebhookEvents": {"since": "2026-11-01T00:00:00Z", "until": "2026-11-02T00:00:00Z"},
    "CreateWallet": {
        "name": "market maker",
        "exchange": "okx",
        "environment": "demo",
        "maxOrder": "1000",
        "keyId": "0123456789abcdef0123456789abcdef",
        "sealed": "c2VhbGVkIHdpdGggSFBLRSB0byB0aGUgc2lnbmVyJ3MgcHVibGljIGtleQ==",
    },
    "ListWallets": {"exchange": "okx", "state": "WALLET_STATE_ACTIVE", "pageSize": 20},
    "RotateWallet": {
        "sealed": "c2VhbGVkIHdpdGggSFBLRSB0byB0aGUgc2lnbmVyJ3MgcHVibGljIGtleQ==",
        "keyId": "0123456789abcdef0123456789abcdef",
        "edition": 1,
    },
    "CreateBot": {
        "name": "btc market maker",
        "walletId": "wal_0123456789abcdef0123456789abcdef",
        "config": {
            "marketMaking": {
                "instrumentId": "okx:BTC-USDT-SWAP",
                "orderSize": 100000000,
                "maxPosition": 500000000,
                "riskAversion": "0.01",
                "arrivalDecay": "0.05",
                "maxHalfSpread": 1000000000000,
            }
        },
        "instruments": ["okx:BTC-USDT-SWAP"],
        "limits": {"maxPosition": "6", "maxDailyLoss": "200", "maxOrdersPerMinute": 600},
    },
    "LogIn": {"user": "ann", "password": "a long password of hers"},
    "Refresh": {"refreshToken": "ttr_" + "0" * 64},
    "CreateUser": {"name": "ben", "role": "ROLE_OPERATOR", "exchanges": ["okx"]},
    "ListUsers": {"pageSize": 20},
    "UpdateUser": {"exchanges": ["okx", "polymarket"]},
    "ListUserEvents": {"pageSize": 20},
    "ListBots": {"state": "BOT_STATE_RUNNING", "pageSize": 20},
    "UpdateBot": {"limits": {"maxPosition": "8", "maxDailyLoss": "150"}},
    "ListBotPnl": {"fromMs": 1793491200000, "step": "PNL_STEP_HOUR", "pageSize": 100},
    "ListBotEvents": {"pageSize": 20},
    "GetPortfolio": {"tenant": "default"},
    "ResumeBot": {"reason": "the loss was a wrong mark"},
    "SettleBotOrder": {
        "orderId": "mm1e1n7",
        "filled": "0.5",
        "reason": "the exchange's statement of the day shows it",
    },
    "ExplainBotPosition": {
        "instrumentId": "okx:BTC-USDT-SWAP",
        "reason": "sold by hand in the exchange's own application",
    },
    "ListBotOrders": {"pageSize": 20},
    "SetRiskLimits": {
        "scope": "RISK_SCOPE_PORTFOLIO",
        "limits": {"maxGross": "50000", "maxNet": "20000", "maxDailyLoss": "1000"},
    },
    "ListRiskBreaches": {"pageSize": 20},
    "SetKillSwitch": {"exchange": "okx", "reason": "prices are wrong"},
    "CreateSignal": {
        "id": "desk-2026-11-25-17",
        "instrumentId": "okx:BTC-USDT-SWAP",
        "direction": "SIGNAL_DIRECTION_UP",
        "confidence": "0.8",
    },
    "ListSignals": {"instrumentId": "okx:BTC-USDT-SWAP", "pageSize": 20},
    "ListSimpleTriggers": {"walletAddress": WALLET},
    "ListTriggers": {"wallet": WALLET},
    "ListCopyQuality": {"followerProxy": WALLET, "by": "leader"},
    "GetMissedCopies": {"followerProxy": WALLET},
    "ListLeaders": {"sort": "copyability", "window": "30d", "minTrades": 1, "pageSize": 20},
    "UpdateTrigger": {"triggerPrice": "0.8"},
    "ListTriggerHistory": {"pageSize": 50},
}
