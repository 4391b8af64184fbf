"""What requests and answers hold. Generated from docs/openapi.json by `make proto`."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict


class ArbitrageConfig(TypedDict):
    """Complete sets of a binary market: both outcomes are bought where they cost less than 1
    together, and sold where they bring more, fees taken off. Units as in
    MarketMakingConfig.
    """

    instrumentId: str
    """One of "instruments"."""
    complementId: str
    """The other outcome."""
    orderSize: str
    """Largest number of sets of one tranche."""
    maxSets: str
    """Largest number of sets that are held; at least orderSize."""
    minEdge: NotRequired[str]
    """Least gain of a set after fees, in units of price."""
    takerFee: NotRequired[int]
    """Of both legs, in parts of a million of the notional."""
    maxLoss: str
    """Of one tranche whose second leg fails, at the books of its entry; in units of money."""
    hedgeDeadlineMs: NotRequired[int]
    """From the first fill of one leg alone; after it, that leg is flattened; left out: 3000."""
    maxSlippage: NotRequired[int]
    """Of hedges and flattening beyond the best price, in parts of a million; left out: 10000."""
    sellSets: NotRequired[bool]
    """Sets are sold where bids bring more than 1 by minEdge; left out: true."""


class ArbitrageConfigInput(TypedDict):
    """Complete sets of a binary market: both outcomes are bought where they cost less than 1
    together, and sold where they bring more, fees taken off. Units as in
    MarketMakingConfig.
    """

    instrumentId: str
    """One of "instruments"."""
    complementId: str
    """The other outcome."""
    orderSize: int | str
    """Largest number of sets of one tranche."""
    maxSets: int | str
    """Largest number of sets that are held; at least orderSize."""
    minEdge: int | str
    """Least gain of a set after fees, in units of price."""
    takerFee: int
    """Of both legs, in parts of a million of the notional."""
    maxLoss: int | str
    """Of one tranche whose second leg fails, at the books of its entry; in units of money."""
    hedgeDeadlineMs: NotRequired[int]
    """From the first fill of one leg alone; after it, that leg is flattened; left out: 3000."""
    maxSlippage: NotRequired[int]
    """Of hedges and flattening beyond the best price, in parts of a million; left out: 10000."""
    sellSets: NotRequired[bool]
    """Sets are sold where bids bring more than 1 by minEdge; left out: true."""


class Backtest(TypedDict):
    """What a follower would have made of a leader at the books that were recorded."""

    leader: str
    """Lower case."""
    since: NotRequired[str]
    until: NotRequired[str]
    recordedFrom: NotRequired[str]
    """What the recording has of the time, whoever traded; left out: nothing."""
    recordedTo: NotRequired[str]
    trades: int
    """Of the leader within the time."""
    outcome: NotRequired[CopyOutcome]
    unknown: list[str]
    """What is assumed, and what is not known, a sentence each."""


class Bot(TypedDict):
    """A bot."""

    id: str
    tenant: str
    name: str
    """Unique within a tenant."""
    walletId: str
    strategy: str
    """The strategy of "config": "market_making", "funding_arbitrage"."""
    config: NotRequired[BotConfig]
    instruments: list[str]
    limits: NotRequired[BotLimits]
    desired: str
    """What a person wants of it: IDLE, RUNNING, PAUSED or STOPPED. Where a bot stands
    (docs/order-states.md).
    `BOT_STATE_RISK_STOPPED`: A loss has reached its limit; a person resumes it, and says
    why.
    """
    state: str
    """Where a bot stands (docs/order-states.md).
    `BOT_STATE_RISK_STOPPED`: A loss has reached its limit; a person resumes it, and says
    why.
    """
    reason: str
    """Why it is in its state; of RISK_STOPPED the limit with its numbers."""
    engine: str
    """The engine that has it, or had it last; empty: none yet."""
    slots: list[BotSlot]
    """As its strategy said when its engine wrote it last."""
    holdings: list[BotHolding]
    equity: NotRequired[BotEquity]
    """Left out: there were no fresh marks yet."""
    writtenAt: NotRequired[str]
    """When slots, holdings and equity were written."""
    createdAt: NotRequired[str]
    changedAt: NotRequired[str]
    version: str
    """Of what people want of it; rises with each change of theirs."""
    appliedVersion: NotRequired[str]
    """The version whose settings and limits its engine goes by; left out: none yet."""


class BotConfig(TypedDict):
    """The settings of a strategy; which one is given says which strategy it is."""

    marketMaking: NotRequired[MarketMakingConfig]
    grid: NotRequired[GridConfig]
    dca: NotRequired[DcaConfig]
    signal: NotRequired[SignalConfig]
    arbitrage: NotRequired[ArbitrageConfig]
    fundingArbitrage: NotRequired[FundingArbitrageConfig]
    deltaHedge: NotRequired[DeltaHedgeConfig]


class BotConfigInput(TypedDict):
    """The settings of a strategy; which one is given says which strategy it is."""

    marketMaking: NotRequired[MarketMakingConfigInput]
    grid: NotRequired[GridConfigInput]
    dca: NotRequired[DcaConfigInput]
    signal: NotRequired[SignalConfigInput]
    arbitrage: NotRequired[ArbitrageConfigInput]
    fundingArbitrage: NotRequired[FundingArbitrageConfigInput]
    deltaHedge: NotRequired[DeltaHedgeConfigInput]


class BotEngine(TypedDict):
    """An engine of bots."""

    name: str
    """Of its processes, one at a time."""
    state: str
    """Where an engine stands.
    `BOT_ENGINE_STATE_LIVE`: It lives, and takes wallets up to its capacity.
    `BOT_ENGINE_STATE_DRAINING`: It hands its wallets over; it keeps those for which no
    other engine has room.
    `BOT_ENGINE_STATE_DRAINED`: It has no wallet, and takes none until it is undrained.
    `BOT_ENGINE_STATE_LEAVING`: Its process is about to end.
    `BOT_ENGINE_STATE_GONE`: Its process has ended, or has not been heard of for longer than
    its lease.
    """
    exchanges: list[str]
    """Exchanges that it can; empty: none."""
    capacity: int
    """The most bots."""
    bots: int
    """Bots that it runs now."""
    programVersion: str
    loopLagMs: int
    """How late its event loop was at most within the last half second."""
    wallets: list[LeasedWallet]
    draining: bool
    """A person wants it drained."""
    drainActor: str
    """Who wanted a drain or its end last, and when; left out: nobody ever."""
    drainAt: NotRequired[str]
    startedAt: NotRequired[str]
    """Of the process that has the name, or had it last."""
    seenAt: NotRequired[str]


class BotEquity(TypedDict):
    """The result of a bot at its last fresh marks, decimal, in the currency it settles in."""

    result: str
    """Realised and unrealised, after fees and funding."""
    peak: str
    """The highest since the bot began."""
    dayStart: str
    """At the start of the day, UTC."""


class BotEvent(TypedDict):
    """An event of a bot or of one of its orders, as the log has it (docs/events.md)."""

    sequence: str
    """Its number in the log."""
    type: str
    """"bot.started", "bot.order_filled"."""
    time: NotRequired[str]
    data: NotRequired[dict[str, Any]]
    """By the schema of its type."""


class BotExplanation(TypedDict):
    """Why a bot does what it does."""

    id: str
    strategy: str
    state: str
    """Where a bot stands (docs/order-states.md).
    `BOT_STATE_RISK_STOPPED`: A loss has reached its limit; a person resumes it, and says
    why.
    """
    reason: str
    """Why it is in its state."""
    reasons: list[BotReason]
    writtenAt: NotRequired[str]
    """When its engine wrote the reasons; left out: never yet."""


class BotFill(TypedDict):
    """A fill of a bot's order. Decimal."""

    tradeId: str
    """Of the trade at the exchange."""
    orderId: str
    instrumentId: str
    side: str
    """Which way shares move, seen from the wallet that is named beside it.
    `SIDE_BUY`: Shares come in, money goes out.
    `SIDE_SELL`: Shares go out, money comes in.
    """
    price: str
    size: str
    fee: str
    """Below 0: a rebate."""
    feeCurrency: str
    maker: bool
    undone: bool
    """Its settlement failed: it takes the fill of the same trade back."""
    midPrice: NotRequired[str]
    """The middle of the book when it was booked; left out: there was none."""
    tradedAt: NotRequired[str]


class BotHolding(TypedDict):
    """What a bot holds in one instrument. Decimal; money in the currency it settles in."""

    instrumentId: str
    size: str
    """Below 0: short."""
    cost: str
    """Notional of what is held, at the prices paid or got."""
    realised: str
    """Gains less losses of what was closed, before fees and funding."""
    fees: str
    """Paid; below 0: rebates are more."""
    funding: str
    """Got; below 0: paid."""
    volume: str
    """Notional of all fills."""


class BotLimits(TypedDict):
    """Limits of a bot; one that is left out does not exist, one of 0 lets nothing in. Money in
    the currency that its first instrument settles in. What reaching one does:
    docs/order-states.md.
    """

    maxPosition: NotRequired[str]
    """Size of one instrument on either side: shares, contracts, or coins of a spot market."""
    maxNotional: NotRequired[str]
    """Worth of all that is held and could still fill."""
    maxOrderNotional: NotRequired[str]
    """Worth of one order."""
    maxOrdersPerMinute: NotRequired[int]
    """Orders and changes of them."""
    maxOpenOrders: NotRequired[int]
    """Orders that may still fill."""
    maxDailyLoss: NotRequired[str]
    """It stops the bot: RISK_STOPPED."""
    maxDrawdown: NotRequired[str]
    """From the highest result since the bot began; it stops the bot."""
    maxUnrealisedLoss: NotRequired[str]
    """It stops the bot and sells what it holds."""
    markAgeMs: NotRequired[int]
    """An older mark counts as stale, and nothing new opens; left out: 5000."""
    maxExposure: NotRequired[str]
    """Longs less shorts over all instruments, on either side."""
    maxMarketLoss: NotRequired[str]
    """Loss in one market since the bot began; only what reduces goes on there."""
    maxLeverage: NotRequired[str]
    """Worth of futures and swaps by the account's money: "3"."""
    minLiquidationBuffer: NotRequired[str]
    """Least way from the mark to the price of liquidation, as part of the mark: "0.1". It
    stops the bot and sells what it holds.
    """
    maxFundingRate: NotRequired[str]
    """Most that a swap's side pays at one funding, as part of its worth: "0.0005"."""


class BotLimitsInput(TypedDict):
    """Limits of a bot; one that is left out does not exist, one of 0 lets nothing in. Money in
    the currency that its first instrument settles in. What reaching one does:
    docs/order-states.md.
    """

    maxPosition: NotRequired[str]
    """Size of one instrument on either side: shares, contracts, or coins of a spot market."""
    maxNotional: NotRequired[str]
    """Worth of all that is held and could still fill."""
    maxOrderNotional: NotRequired[str]
    """Worth of one order."""
    maxOrdersPerMinute: NotRequired[int]
    """Orders and changes of them."""
    maxOpenOrders: NotRequired[int]
    """Orders that may still fill."""
    maxDailyLoss: NotRequired[str]
    """It stops the bot: RISK_STOPPED."""
    maxDrawdown: NotRequired[str]
    """From the highest result since the bot began; it stops the bot."""
    maxUnrealisedLoss: NotRequired[str]
    """It stops the bot and sells what it holds."""
    markAgeMs: NotRequired[int]
    """An older mark counts as stale, and nothing new opens; left out: 5000."""
    maxExposure: NotRequired[str]
    """Longs less shorts over all instruments, on either side."""
    maxMarketLoss: NotRequired[str]
    """Loss in one market since the bot began; only what reduces goes on there."""
    maxLeverage: NotRequired[str]
    """Worth of futures and swaps by the account's money: "3"."""
    minLiquidationBuffer: NotRequired[str]
    """Least way from the mark to the price of liquidation, as part of the mark: "0.1". It
    stops the bot and sells what it holds.
    """
    maxFundingRate: NotRequired[str]
    """Most that a swap's side pays at one funding, as part of its worth: "0.0005"."""


class BotOrder(TypedDict):
    """An order of a bot, as its engine knew it last. Decimal."""

    id: str
    """Its client order id."""
    slot: str
    """The place in the strategy's quotes that it was made for."""
    instrumentId: str
    side: str
    """Which way shares move, seen from the wallet that is named beside it.
    `SIDE_BUY`: Shares come in, money goes out.
    `SIDE_SELL`: Shares go out, money comes in.
    """
    price: str
    size: str
    filled: str
    state: str
    """Where it stands (docs/order-states.md): "OPEN", "FILLED", "UNKNOWN"."""
    pending: str
    """The request under way: "PLACE", "AMEND", "CANCEL"; empty: none."""
    venueOrderId: str
    """The exchange's own id; empty: not told yet."""
    settled: bool
    """Nothing is expected of it any more."""
    createdAt: NotRequired[str]
    changedAt: NotRequired[str]


class BotPnlPoint(TypedDict):
    """What a bot had made in one currency since it was created, as of one minute. Decimal."""

    at: NotRequired[str]
    """The minute."""
    currency: str
    realised: str
    """Gains less losses of what was closed, before fees and funding."""
    unrealised: NotRequired[str]
    """Of what was held; left out: a mark was missing."""
    fees: str
    """Paid; below 0: rebates are more."""
    funding: str
    """Got; below 0: paid."""
    volume: str
    """Notional of all fills."""
    result: NotRequired[str]
    """Realised and unrealised, after fees and funding; left out: a mark was missing."""
    markAgeMs: NotRequired[str]
    """How old the oldest mark of what was held was, in milliseconds; left out: nothing was
    held.
    """
    sources: list[BotProfitSource]
    """The result by source; empty: the strategy does not say."""


class BotPosition(TypedDict):
    """A position of a bot in one instrument. Decimal; money in the currency."""

    instrumentId: str
    size: str
    """Below 0: short."""
    cost: str
    """What was paid or got for it."""
    averagePrice: NotRequired[str]
    """Cost of one, at the prices paid or got; left out: nothing is held."""
    mark: NotRequired[str]
    """The price that it is judged by; left out: there was none yet."""
    markedAt: NotRequired[str]
    """When the exchange told the mark."""
    markAgeMs: NotRequired[str]
    """How old the mark is now, in milliseconds."""
    notional: NotRequired[str]
    """Worth of what is held at the mark, below 0: short."""
    unrealised: NotRequired[str]
    """Gain of closing all of it at the mark, before fees."""
    realised: str
    """Gains less losses of what was closed, before fees and funding."""
    fees: str
    """Paid; below 0: rebates are more."""
    funding: str
    """Got; below 0: paid."""
    currency: str
    """The currency that it settles in."""


class BotProfitSource(TypedDict):
    """A part of what a bot has made. Decimal."""

    source: str
    """As its strategy says it: "spread", "inventory", "fees", "funding"."""
    amount: str


class BotReason(TypedDict):
    """Why the quote of a slot is what it is, with what stands there."""

    slot: str
    explanation: str
    """As its strategy says it; with the limit or the refusal that keeps a quote away."""
    orders: list[BotOrder]
    """Orders of the slot that may still fill."""


class BotSlot(TypedDict):
    """Why the quote of a slot is what it is, or why there is none."""

    slot: str
    explanation: str


class Caller(TypedDict):
    """Whose token it is and what it may do."""

    id: str
    """As the audit names him: a token's name, or "@" and the name of a user."""
    scope: str
    """"read", or "manage", which includes "read"."""
    role: str
    """Of a user: "admin", "operator" or "viewer"; empty: a program's token."""
    exchanges: list[str]
    """Of a user who is an operator; empty: none."""


class CloudEvent(TypedDict):
    """One event, as the world outside gets it: the attributes of CloudEvents 1.0."""

    specversion: str
    """Of CloudEvents: "1.0"."""
    id: str
    """Stable: the same event has the same id whenever and however it is read."""
    source: str
    """Who tells it: "/tradingtools"."""
    type: str
    """What happened, e.g. "order.filled"; docs/events.md lists all types."""
    subject: str
    """What it is about, e.g. "orders/<key>" or "subscriptions/<id>"."""
    time: NotRequired[str]
    """When it was written down."""
    sequence: str
    """Its place in the log, from 1, without a gap: the cursor to resume after it."""
    datacontenttype: str
    """Of CloudEvents: "application/json"."""
    traceparent: NotRequired[str]
    """W3C trace context of the leader's trade (or the mark) behind it; absent: none."""
    data: NotRequired[dict[str, Any]]
    """By the schema of the type; amounts are decimal strings."""


class CopyGroup(TypedDict):
    """Copies of one group together. USDC."""

    key: str
    """The order's, subscription's or market's id, the leader's wallet, or the first instant of
    the hour; empty: all.
    """
    orders: str
    """Orders, and those of them that filled something."""
    filledOrders: str
    filledFraction: NotRequired[float]
    """Filled shares by ordered ones; left out: there is no order."""
    notional: str
    """What was paid and got for the filled shares."""
    fees: str
    slippage: str
    """That fills were worse than the leader's price; less than 0: better."""
    slippageTicks: NotRequired[float]
    """The same in ticks, mean of shares; left out: nothing was filled, or a tick is not known."""
    delayP50Us: NotRequired[str]
    """From the leader's trade as received to the answer to our order, microseconds: median and
    90th percentile. Left out before the first answer.
    """
    delayP90Us: NotRequired[str]
    made: NotRequired[str]
    """What the filled copies have gained since, fees paid; a sell by what its shares are worth
    now. Left out: some have neither a fresh book nor a payout.
    """
    leaderMade: NotRequired[str]
    """What the leader has gained with as many shares at his own price, without fees."""
    trackingError: str
    """What copies have gained less than the leader: slippage and fees."""


class CopyOutcome(TypedDict):
    """What came of following. USDC, and counts of the leader's trades."""

    buys: int
    """That were judged."""
    sells: int
    copied: int
    refused: list[RefusedCopies]
    """The most frequent first."""
    orders: int
    unfilledOrders: int
    """Orders of which nothing was filled."""
    assumedBuys: int
    """Orders whose book nobody recorded; `unknown` says how they are filled."""
    assumedSells: int
    spent: str
    """For buys, fees included."""
    received: str
    """From sales and resolutions, fees taken off."""
    fees: str
    realised: str
    """Received less the cost of what left."""
    heldCost: str
    """What is held at the end: cost, outcomes, those of them without a price, and worth; left
    out: one has none.
    """
    heldOutcomes: int
    unmarkedOutcomes: int
    heldValue: NotRequired[str]
    profit: NotRequired[str]
    """Realised, and what is held above its cost."""
    leaderCost: str
    """What the leader paid for the shares that were bought."""


class CopyQuality(TypedDict):
    """How well copies were made."""

    groups: list[CopyGroup]
    """Newest first by order and hour, by key otherwise."""
    total: NotRequired[CopyGroup]
    """Of all groups of all pages."""
    nextPageToken: str
    """Empty on the last page."""


class CreateBotRequest(TypedDict):
    name: str
    """For people; unique within a tenant."""
    walletId: str
    """The trading wallet that it trades for."""
    tenant: NotRequired[str]
    """Whose bot it is, and its wallet; empty: "default"."""
    config: BotConfigInput
    instruments: list[str]
    """All that it trades, at the exchange of its wallet: "okx:BTC-USDT-SWAP",
    "polymarket:<asset>".
    """
    limits: NotRequired[BotLimitsInput]


class CreateSignalRequest(TypedDict):
    id: str
    """Of the sender, unique within a tenant: the same signal may be sent again, and is heard
    once.
    """
    tenant: NotRequired[str]
    """Whose bots hear it; empty: "default"."""
    instrumentId: str
    """"okx:BTC-USDT-SWAP", "polymarket:<asset>"."""
    direction: Literal["SIGNAL_DIRECTION_UP", "SIGNAL_DIRECTION_DOWN", "SIGNAL_DIRECTION_NEUTRAL"]
    """The direction of a price.
    `SIGNAL_DIRECTION_NEUTRAL`: Neither: a position that a signal opened is closed.
    """
    confidence: str
    """From 0 to 1."""
    madeAt: NotRequired[str]
    """By the sender's clock, within the day before now; left out: now."""
    expiresAt: NotRequired[str]
    """After madeAt, by at most a day; left out: a day after it."""


class CreateSimpleTriggerRequest(TypedDict):
    walletAddress: str
    """The follower's wallet, in any case."""
    conditionId: str
    """The market."""
    assetId: str
    """The outcome's token that is sold."""
    side: NotRequired[str]
    """"sell"; absent means the same."""
    triggerType: Literal["take_profit", "stop_loss"]
    """What makes it fire."""
    triggerPrice: float
    """USDC per share, taken to six decimals."""
    size: NotRequired[float]
    """USDC that the sale brings at the trigger price, taken to six decimals; absent: whatever
    the lot holds.
    """
    subscriptionId: NotRequired[str]
    """The lot: of a subscription, or else `manualLot`."""
    manualLot: NotRequired[ManualLotInput]
    """What the follower has bought by hand; not with a subscription."""


class CreateSubscriptionRequest(TypedDict):
    follower: FollowerIdentityInput
    """Who copies."""
    leader: str
    """The wallet that is followed, in any case."""
    sizing: SizingInput
    limits: NotRequired[LimitsInput]
    filters: NotRequired[FiltersInput]
    exits: NotRequired[ExitsInput]
    shadow: NotRequired[bool]
    """For good: a shadow never becomes a real subscription, nor the other way round."""
    triggers: NotRequired[DefaultTriggersInput]
    """What every new position is guarded with."""
    start: NotRequired[Literal["START_MODE_BASELINE", "START_MODE_MIRROR"]]
    """Which of the leader's positions a subscription follows.
    `START_MODE_BASELINE`: Only what the leader trades from now on. What an absent field
    means.
    `START_MODE_MIRROR`: What the leader holds at the start, too: a resync that is executed
    once, by itself.
    """
    performance: NotRequired[PerformanceRulesInput]
    """When it stops on a loss, and how it scales with profit."""
    paused: NotRequired[bool]
    """It copies nothing until it is resumed. Not with START_MODE_MIRROR."""


class CreateTriggerRequest(TypedDict):
    wallet: str
    """The follower's wallet, in any case."""
    conditionId: str
    """The market."""
    assetId: str
    """The outcome's token that is sold."""
    side: NotRequired[str]
    """"sell"; absent means the same."""
    triggerType: Literal[
        "TRIGGER_TYPE_TAKE_PROFIT",
        "TRIGGER_TYPE_STOP_LOSS",
        "TRIGGER_TYPE_TRAILING_STOP",
        "TRIGGER_TYPE_TIME_STOP",
        "TRIGGER_TYPE_LADDER",
    ]
    """What makes it fire. What makes a trigger fire. The price is what the size would really
    fetch: the volume-weighted bid.
    `TRIGGER_TYPE_TAKE_PROFIT`: At or above the trigger price.
    `TRIGGER_TYPE_STOP_LOSS`: At or below the trigger price.
    `TRIGGER_TYPE_TRAILING_STOP`: Active once the trigger price is reached; fires a callback
    below the best price since then.
    `TRIGGER_TYPE_TIME_STOP`: From an instant on, at whatever price.
    `TRIGGER_TYPE_LADDER`: Sells a part at or above the price of each of its rungs.
    """
    triggerPrice: NotRequired[str]
    """Empty for a time stop and a ladder."""
    size: NotRequired[str]
    """Shares, decimal string; absent: whatever the lot holds."""
    subscriptionId: NotRequired[str]
    """The lot: of a subscription, or else `manualLot`."""
    callbackPrice: NotRequired[str]
    """USDC per share, less than the trigger price."""
    callbackFraction: NotRequired[str]
    """Of the peak, decimal string between 0 and 1."""
    fireAtMs: NotRequired[int | str]
    """Of a time stop, and only of it: milliseconds since 1970. One that has passed fires as
    soon as there are shares.
    """
    rungs: NotRequired[list[RungInput]]
    """Of a ladder, and only of it."""
    breakEven: NotRequired[bool]
    """A stop-loss that moves up to the entry price once a rung of its lot's ladder has sold."""
    twoTicks: NotRequired[bool]
    """Fire only when two books in a row reach the price; not for a time stop."""
    manualLot: NotRequired[ManualLotInput]
    """What the follower has bought by hand; not with a subscription."""


class CreateUserRequest(TypedDict):
    name: str
    """Unique; a name is never used again."""
    role: Literal["ROLE_ADMIN", "ROLE_OPERATOR", "ROLE_VIEWER"]
    """What he may do. What a person may do.
    `ROLE_ADMIN`: Everything, on all exchanges; makes users.
    `ROLE_OPERATOR`: Reads and changes what belongs to the exchanges of his list.
    `ROLE_VIEWER`: Reads.
    """
    exchanges: NotRequired[list[str]]
    """Of an operator: "okx", "polymarket". Empty: none."""


class CreateWalletRequest(TypedDict):
    name: str
    """For people; unique among the active wallets of a tenant."""
    exchange: str
    """"okx" or "polymarket"."""
    environment: NotRequired[str]
    """"live" or "demo"; empty: live. Polymarket has live alone."""
    tenant: NotRequired[str]
    """Whose wallet it is; empty: "default"."""
    maxOrder: str
    """The most USDC that one order may be about."""
    keyId: str
    """Of the key that the credentials are sealed to."""
    sealed: str
    """The credentials, sealed for exactly this request, Base64 (docs/api.md)."""


class CreateWebhookEndpointRequest(TypedDict):
    url: str
    """https, or http to a network that the operator allows."""
    types: NotRequired[list[str]]
    """"order.filled", or "order.*" for all of a kind; empty: all."""
    description: NotRequired[str]
    """For people."""
    ordering: NotRequired[
        Literal["WEBHOOK_ORDERING_UNSPECIFIED", "WEBHOOK_ORDERING_LOG", "WEBHOOK_ORDERING_NONE"]
    ]
    """Unspecified: that of the log. In which order an endpoint gets its events.
    `WEBHOOK_ORDERING_LOG`: That of the log: the next event leaves when the one before was
    taken.
    `WEBHOOK_ORDERING_NONE`: None: several are under way, and one that is not taken holds up
    few others. After eight attempts it is given up.
    """


class CreatedUser(TypedDict):
    """A user, and what he logs in with for the first time."""

    user: NotRequired[User]
    oneTimePassword: str
    """Good for 24 hours and one login, which names a new one. Shown once: empty in a repeated
    answer.
    """
    id: str


class DcaConfig(TypedDict):
    """A plan that buys at intervals. Money is in whole units of the settle currency:
    0.00000001 at OKX, 0.000001 at Polymarket.
    """

    instrumentId: str
    """One of "instruments"."""
    amount: str
    """Money of one buy, before fees."""
    intervalS: int
    """Seconds between buys."""
    maxSlippage: NotRequired[int]
    """How far above the best ask a buy may go, in parts of a million; left out: 1000."""
    budget: NotRequired[str]
    """Largest cost of what is held, before fees; left out: no bound."""
    takeProfit: NotRequired[str]
    """How far above the average cost all is sold, in parts of a million; left out: it is kept."""
    finishWhen: NotRequired[str]
    """The end of the plan: "NEVER" (what was sold is bought again), "SOLD" (by the
    take-profit), "BUDGET" (it is spent); left out: NEVER.
    """


class DcaConfigInput(TypedDict):
    """A plan that buys at intervals. Money is in whole units of the settle currency:
    0.00000001 at OKX, 0.000001 at Polymarket.
    """

    instrumentId: str
    """One of "instruments"."""
    amount: int | str
    """Money of one buy, before fees."""
    intervalS: int
    """Seconds between buys."""
    maxSlippage: NotRequired[int]
    """How far above the best ask a buy may go, in parts of a million; left out: 1000."""
    budget: NotRequired[int | str]
    """Largest cost of what is held, before fees; left out: no bound."""
    takeProfit: NotRequired[int | str]
    """How far above the average cost all is sold, in parts of a million; left out: it is kept."""
    finishWhen: NotRequired[str]
    """The end of the plan: "NEVER" (what was sold is bought again), "SOLD" (by the
    take-profit), "BUDGET" (it is spent); left out: NEVER.
    """


class Decision(TypedDict):
    """One leader trade, what was decided about it, and what became of that."""

    leaderTx: str
    """The leader's transaction."""
    conditionId: str
    """The market."""
    assetId: str
    """The outcome's token."""
    side: str
    """Which way shares move, seen from the wallet that is named beside it.
    `SIDE_BUY`: Shares come in, money goes out.
    `SIDE_SELL`: Shares go out, money comes in.
    """
    leaderSize: str
    """The whole leader trade as far as it is known: shares and USDC, decimal strings."""
    leaderNotional: str
    copied: bool
    """It was decided to copy it. Whether that was sent and filled is told by `orders`."""
    reason: str
    """Reason code of a skip or a shortfall; empty when all that was wanted was decided."""
    detail: str
    """The numbers that were compared."""
    orderIds: list[str]
    """The orders that came of it, in the order of their parts."""
    orders: list[DecisionOrder]
    """What became of each of them."""
    decidedAt: NotRequired[str]
    """When the router decided."""
    paperSize: NotRequired[str]
    """Of a shadow: shares and USDC assumed at the book of the decision, not traded. Left out
    for others.
    """
    paperNotional: NotRequired[str]


class DecisionOrder(TypedDict):
    """An order that a decision made, as it stands now."""

    id: str
    """As in `orderIds` and in fills."""
    state: str
    """Where an order stands. The transitions, their guards and their kinds of end are one
    table in `tradingtools/domain/order_states.py`.
    `ORDER_STATE_CLAIMED`: Durable, reserved, not sent.
    `ORDER_STATE_SUBMITTING`: Durable that a first byte may leave.
    `ORDER_STATE_SUBMITTED`: insiders-api has accepted it.
    `ORDER_STATE_CONFIRMED`: The venue has finished with it; fills are final.
    `ORDER_STATE_FAILED`: It ended without a standing fill.
    `ORDER_STATE_UNKNOWN`: It may or may not exist at insiders-api.
    `ORDER_STATE_LOST`: It provably does not exist and never will.
    `ORDER_STATE_DEAD`: Nobody could find out; a human is called and the money stays
    reserved.
    `ORDER_STATE_RESURRECTED`: It had been given up and appeared after all.
    """
    reason: str
    """Reason code; empty when there is none to tell, such as of one that was filled."""
    filledSize: str
    """Shares, decimal string."""


class DefaultRung(TypedDict):
    """One step of a default ladder."""

    gain: str
    """How far above the entry price it sells, decimal string: "0.2" is 20 percent. Above that
    of the rung before.
    """
    fraction: str
    """Of the position, decimal string; the last rung takes the rest and may leave it out."""


class DefaultRungInput(TypedDict):
    """One step of a default ladder."""

    gain: str
    """How far above the entry price it sells, decimal string: "0.2" is 20 percent. Above that
    of the rung before.
    """
    fraction: NotRequired[str]
    """Of the position, decimal string; the last rung takes the rest and may leave it out."""


class DefaultTrailing(TypedDict):
    """A default trailing stop."""

    gain: NotRequired[str]
    """How far above the entry price it becomes active, decimal string; absent: at the entry
    price.
    """
    callbackFraction: str
    """How far below its peak it fires, of the peak, decimal string between 0 and 1."""


class DefaultTrailingInput(TypedDict):
    """A default trailing stop."""

    gain: NotRequired[str]
    """How far above the entry price it becomes active, decimal string; absent: at the entry
    price.
    """
    callbackFraction: str
    """How far below its peak it fires, of the peak, decimal string between 0 and 1."""


class DefaultTriggers(TypedDict):
    """Triggers that each new position of a subscription gets with its first fill. Fractions
    are of the entry price of that fill; a price of 1 or more cannot be reached and makes no
    trigger.
    """

    takeProfit: NotRequired[str]
    """How far above the entry price, decimal string: "0.2" is 20 percent."""
    stopLoss: NotRequired[str]
    """How far below the entry price, decimal string between 0 and 1."""
    breakEven: NotRequired[bool]
    """The stop-loss moves up to the entry price once a rung has sold."""
    trailing: NotRequired[DefaultTrailing]
    ladder: list[DefaultRung]
    """Sells a part at each rung, the lowest first."""
    timeStopSeconds: NotRequired[str]
    """From so many seconds after the first fill on, at any price."""


class DefaultTriggersInput(TypedDict):
    """Triggers that each new position of a subscription gets with its first fill. Fractions
    are of the entry price of that fill; a price of 1 or more cannot be reached and makes no
    trigger.
    """

    takeProfit: NotRequired[str]
    """How far above the entry price, decimal string: "0.2" is 20 percent."""
    stopLoss: NotRequired[str]
    """How far below the entry price, decimal string between 0 and 1."""
    breakEven: NotRequired[bool]
    """The stop-loss moves up to the entry price once a rung has sold."""
    trailing: NotRequired[DefaultTrailingInput]
    ladder: NotRequired[list[DefaultRungInput]]
    """Sells a part at each rung, the lowest first."""
    timeStopSeconds: NotRequired[int | str]
    """From so many seconds after the first fill on, at any price."""


class DeleteSessionResponse(TypedDict):
    pass


class DeltaHedgeConfig(TypedDict):
    """A binary on a price, bought below its worth by a model and hedged by its delta: a hedge
    with model risk. It trades at two exchanges, which no wallet does yet: backtests alone.
    Units as in MarketMakingConfig.
    """

    binaryId: str
    """One of "instruments"; pays 1 when the price ends above the strike, or below it."""
    hedgeId: str
    """One of "instruments": a linear swap or future on that price."""
    strike: str
    """In the hedge's units of price."""
    paysAbove: NotRequired[bool]
    """Left out: true."""
    expiresMs: str
    """When the binary is decided, milliseconds since 1970."""
    volatility: str
    """Of the price, a year: 0.5 is 50 %; more than 0 and at most 10."""
    orderSize: str
    """Shares of one tranche."""
    maxPosition: str
    """Shares in all; at least orderSize."""
    minEdge: NotRequired[str]
    """Least worth above the cost of a share, fees included, in the binary's units of price."""
    exitEdge: NotRequired[str]
    """Shares are sold where the bid, fee taken off, is above their worth by this; left out: 0."""
    stopBeforeS: NotRequired[int]
    """All is closed so many seconds before the end; left out: 3600."""
    rebalanceBand: NotRequired[int]
    """Difference of hedge and delta that is let be, in parts of a million of the delta; left
    out: 100000.
    """
    binaryFee: NotRequired[int]
    """A taker's, in parts of a million of the notional."""
    hedgeFee: NotRequired[int]
    """A taker's, in parts of a million of the notional."""
    maxLoss: str
    """Of one tranche whose hedge fails, at the book of its entry; in the binary's units of
    money.
    """
    hedgeDeadlineMs: NotRequired[int]
    """From the first share that is not hedged; after it, the shares are flattened; left out:
    5000.
    """
    maxSlippage: NotRequired[int]
    """Of each order beyond the best price, in parts of a million; left out: 10000."""


class DeltaHedgeConfigInput(TypedDict):
    """A binary on a price, bought below its worth by a model and hedged by its delta: a hedge
    with model risk. It trades at two exchanges, which no wallet does yet: backtests alone.
    Units as in MarketMakingConfig.
    """

    binaryId: str
    """One of "instruments"; pays 1 when the price ends above the strike, or below it."""
    hedgeId: str
    """One of "instruments": a linear swap or future on that price."""
    strike: int | str
    """In the hedge's units of price."""
    paysAbove: NotRequired[bool]
    """Left out: true."""
    expiresMs: int | str
    """When the binary is decided, milliseconds since 1970."""
    volatility: str
    """Of the price, a year: 0.5 is 50 %; more than 0 and at most 10."""
    orderSize: int | str
    """Shares of one tranche."""
    maxPosition: int | str
    """Shares in all; at least orderSize."""
    minEdge: int | str
    """Least worth above the cost of a share, fees included, in the binary's units of price."""
    exitEdge: NotRequired[int | str]
    """Shares are sold where the bid, fee taken off, is above their worth by this; left out: 0."""
    stopBeforeS: NotRequired[int]
    """All is closed so many seconds before the end; left out: 3600."""
    rebalanceBand: NotRequired[int]
    """Difference of hedge and delta that is let be, in parts of a million of the delta; left
    out: 100000.
    """
    binaryFee: int
    """A taker's, in parts of a million of the notional."""
    hedgeFee: int
    """A taker's, in parts of a million of the notional."""
    maxLoss: int | str
    """Of one tranche whose hedge fails, at the book of its entry; in the binary's units of
    money.
    """
    hedgeDeadlineMs: NotRequired[int]
    """From the first share that is not hedged; after it, the shares are flattened; left out:
    5000.
    """
    maxSlippage: NotRequired[int]
    """Of each order beyond the best price, in parts of a million; left out: 10000."""


class Drift(TypedDict):
    """One outcome: what would be held if every order of a copy had filled, beside what is
    held.
    """

    conditionId: str
    """The market."""
    assetId: str
    """The outcome's token."""
    idealSize: str
    """Shares if all that was decided had been bought, less the part that the leader sold each
    time, less what triggers sold; nothing after the resolution.
    """
    size: str
    """Shares of this subscription's lot."""
    reasons: list[DriftReason]
    unexplainedSize: str
    """What of the difference no reason names: what sells in proportion make of what was
    missing before, and rounding. May be negative.
    """
    lotsSize: str
    """Shares of all lots of the wallet in this outcome."""
    walletSize: NotRequired[str]
    """Shares as insiders-api has told; left out while it has not, or something was booked
    since.
    """
    foreignSize: NotRequired[str]
    """Wallet less lots: what others bought or sold with it. May be negative; left out with the
    wallet.
    """


class DriftReason(TypedDict):
    """Why a lot differs from what it would be."""

    reason: str
    """A reason code, PARTLY_FILLED, or the state of an order that has not ended."""
    side: str
    """Which way shares move, seen from the wallet that is named beside it.
    `SIDE_BUY`: Shares come in, money goes out.
    `SIDE_SELL`: Shares go out, money comes in.
    """
    number: str
    """Orders with it; without a size, leader trades that were not copied."""
    size: NotRequired[str]
    """Shares that these orders did not get: missing after buys, too many after sells. With
    SOLD_ELSEWHERE, shares that left the lot without an order of the engine: missing; with
    ADOPTED, below zero, shares that came in without one. Left out when nothing was ordered.
    """


class EngineHealth(TypedDict):
    """How the engine is, looked at each second. A part that stops is named within three."""

    status: str
    """"serving"; "degraded": a part does not serve, or says that something is away."""
    parts: list[EnginePart]
    """Of the pipeline, in its order."""


class EnginePart(TypedDict):
    """How one process of the engine is."""

    name: str
    """"router", or "router-1" where there are several."""
    serving: bool
    """It answers and serves."""
    since: NotRequired[str]
    """Since when it is so, as far as this process of control has seen."""
    away: list[str]
    """What it says is away or behind, by the names of its health checks, e.g. "postgresql",
    "backlog".
    """
    backlogMs: NotRequired[str]
    """How long the oldest of what waits in it has waited, milliseconds. Left out where it
    tells none.
    """


class Exchange(TypedDict):
    """An exchange that wallets can be of."""

    name: str
    """"okx" or "polymarket"."""
    kinds: list[str]
    """The kinds of instruments: "spot", "future", "swap", "binary"."""
    environments: list[str]
    """"live" and "demo", where it has both."""
    credentials: list[str]
    """The fields of its credentials, as they are sealed."""
    modes: list[str]
    """The modes that an account has to be in; empty: it has none."""
    amends: bool
    """Orders can be amended."""
    leverage: bool
    """Positions can have leverage."""


class Exits(TypedDict):
    mode: NotRequired[str]
    """What a leader's sell does to the lot.
    `EXIT_MODE_MIRROR`: In proportion to the leader's reduction. What an absent field means.
    `EXIT_MODE_ALL`: The first sell sells everything.
    `EXIT_MODE_NONE`: Nothing: only triggers sell.
    """
    maxSlippage: NotRequired[str]
    """How much less than the leader's price an exit that follows his sell, or a resync's, may
    bring, as a fraction: "0.2" is 20 %, "0" is never less than he got. What finds nobody at
    that price waits for it. Absent: each slice goes further down, within seconds to any
    price. Triggers sell at any price.
    """
    belowMinimum: NotRequired[str]
    """What becomes of an exit below the market's minimum order. A leader who keeps nothing
    takes all along, whatever this says.
    `EXIT_BELOW_MINIMUM_ACCUMULATE`: It is added to the leader's next sells of the outcome
    until together they reach the minimum. What an absent field means.
    `EXIT_BELOW_MINIMUM_ROUND_UP`: The minimum is sold, and all of the lot where less than
    the minimum would be left.
    `EXIT_BELOW_MINIMUM_WAIT`: Its shares stay, as part of what the leader's next sells
    reduce.
    """


class ExitsInput(TypedDict):
    mode: NotRequired[Literal["EXIT_MODE_MIRROR", "EXIT_MODE_ALL", "EXIT_MODE_NONE"]]
    """What a leader's sell does to the lot.
    `EXIT_MODE_MIRROR`: In proportion to the leader's reduction. What an absent field means.
    `EXIT_MODE_ALL`: The first sell sells everything.
    `EXIT_MODE_NONE`: Nothing: only triggers sell.
    """
    maxSlippage: NotRequired[str]
    """How much less than the leader's price an exit that follows his sell, or a resync's, may
    bring, as a fraction: "0.2" is 20 %, "0" is never less than he got. What finds nobody at
    that price waits for it. Absent: each slice goes further down, within seconds to any
    price. Triggers sell at any price.
    """
    belowMinimum: NotRequired[
        Literal[
            "EXIT_BELOW_MINIMUM_ACCUMULATE",
            "EXIT_BELOW_MINIMUM_ROUND_UP",
            "EXIT_BELOW_MINIMUM_WAIT",
        ]
    ]
    """What becomes of an exit below the market's minimum order. A leader who keeps nothing
    takes all along, whatever this says.
    `EXIT_BELOW_MINIMUM_ACCUMULATE`: It is added to the leader's next sells of the outcome
    until together they reach the minimum. What an absent field means.
    `EXIT_BELOW_MINIMUM_ROUND_UP`: The minimum is sold, and all of the lot where less than
    the minimum would be left.
    `EXIT_BELOW_MINIMUM_WAIT`: Its shares stay, as part of what the leader's next sells
    reduce.
    """


class ExplainBotPositionRequest(TypedDict):
    instrumentId: str
    """The instrument in which nothing opens."""
    reason: str
    """Where the position went; it is kept for ever."""


class ExplainBotPositionResponse(TypedDict):
    instrumentId: str
    """Where bots open again."""


class Fill(TypedDict):
    """One fill as the follower sees it."""

    orderId: str
    """The order that was filled."""
    tradeId: str
    """The venue's trade; one order may have several."""
    conditionId: str
    """The market."""
    assetId: str
    """The outcome's token."""
    side: str
    """Which way shares move, seen from the wallet that is named beside it.
    `SIDE_BUY`: Shares come in, money goes out.
    `SIDE_SELL`: Shares go out, money comes in.
    """
    size: str
    """Shares, decimal string."""
    price: str
    """USDC per share, decimal string; notional divided by size, rounded half-even."""
    notional: str
    """USDC, decimal strings."""
    fee: str
    """USDC, decimal string."""
    final: bool
    """False while settlement is open."""
    filledAt: NotRequired[str]
    """When the venue matched it."""
    leaderTx: str
    """The leader trade behind it; empty for exits of triggers."""
    triggerId: str
    """The trigger behind it; empty for copies."""


class Filters(TypedDict):
    """What is not copied at all. Absent or empty: no filter."""

    sides: NotRequired[str]
    """Which trades of the leader are copied.
    `COPY_SIDES_BOTH`: What an absent field means.
    """
    minPrice: NotRequired[str]
    """Of the leader's price, USDC per share. A copy's limit is not above the maximum either."""
    maxPrice: NotRequired[str]
    """See minPrice."""
    minLeaderNotional: NotRequired[str]
    """USDC of the leader's trade."""
    marketsAllowed: list[str]
    """Conditions. An empty list of allowed ones allows all."""
    marketsDenied: list[str]
    """Conditions that are not copied."""
    categoriesAllowed: list[str]
    """Categories as the venue names them, lower case, e.g. "sports"."""
    categoriesDenied: list[str]
    """Categories that are not copied."""
    minSecondsToEnd: NotRequired[int]
    """Until the market is expected to end; a market whose end is not known is skipped, too."""
    oppositeSide: NotRequired[str]
    """What to do with a leader who is on both sides of a market.
    `OPPOSITE_SIDE_COPY`: Copy both. What an absent field means.
    `OPPOSITE_SIDE_FIRST_ONLY`: Only the outcome that this subscription holds or is buying.
    `OPPOSITE_SIDE_SKIP`: As above, and no entry once the leader was seen to buy both within
    an hour.
    """
    leader: NotRequired[LeaderFilter]


class FiltersInput(TypedDict):
    """What is not copied at all. Absent or empty: no filter."""

    sides: NotRequired[Literal["COPY_SIDES_BOTH", "COPY_SIDES_BUYS", "COPY_SIDES_SELLS"]]
    """Which trades of the leader are copied.
    `COPY_SIDES_BOTH`: What an absent field means.
    """
    minPrice: NotRequired[str]
    """Of the leader's price, USDC per share. A copy's limit is not above the maximum either."""
    maxPrice: NotRequired[str]
    """See minPrice."""
    minLeaderNotional: NotRequired[str]
    """USDC of the leader's trade."""
    marketsAllowed: NotRequired[list[str]]
    """Conditions. An empty list of allowed ones allows all."""
    marketsDenied: NotRequired[list[str]]
    """Conditions that are not copied."""
    categoriesAllowed: NotRequired[list[str]]
    """Categories as the venue names them, lower case, e.g. "sports"."""
    categoriesDenied: NotRequired[list[str]]
    """Categories that are not copied."""
    minSecondsToEnd: NotRequired[int]
    """Until the market is expected to end; a market whose end is not known is skipped, too."""
    oppositeSide: NotRequired[
        Literal["OPPOSITE_SIDE_COPY", "OPPOSITE_SIDE_FIRST_ONLY", "OPPOSITE_SIDE_SKIP"]
    ]
    """What to do with a leader who is on both sides of a market.
    `OPPOSITE_SIDE_COPY`: Copy both. What an absent field means.
    `OPPOSITE_SIDE_FIRST_ONLY`: Only the outcome that this subscription holds or is buying.
    `OPPOSITE_SIDE_SKIP`: As above, and no entry once the leader was seen to buy both within
    an hour.
    """
    leader: NotRequired[LeaderFilterInput]


class FixedSizing(TypedDict):
    """The same amount for every leader trade."""

    amount: str
    """USDC per copy, decimal string, e.g. "25"."""


class FixedSizingInput(TypedDict):
    """The same amount for every leader trade."""

    amount: str
    """USDC per copy, decimal string, e.g. "25"."""


class FollowerIdentity(TypedDict):
    """Who the follower is, as the product backend asserts it in each create."""

    followerUserId: str
    """The backend's user id."""
    followerWalletId: str
    """The custodial wallet's id at the wallet provider (not an address)."""
    followerProxy: str
    """The wallet that holds money and shares: 0x and 40 hex digits, lower case after parsing."""


class FollowerIdentityInput(TypedDict):
    """Who the follower is, as the product backend asserts it in each create."""

    followerUserId: str
    """The backend's user id."""
    followerWalletId: str
    """The custodial wallet's id at the wallet provider (not an address)."""
    followerProxy: str
    """The wallet that holds money and shares: 0x and 40 hex digits, lower case after parsing."""


class FollowerOrder(TypedDict):
    """An order of a follower and how it went. Amounts are decimal strings."""

    id: str
    purpose: str
    """Why an order exists.
    `ORDER_PURPOSE_ENTRY`: A follower follows a leader's buy.
    `ORDER_PURPOSE_COPY_EXIT`: A follower follows a leader's sell.
    `ORDER_PURPOSE_GUARD_EXIT`: A trigger of the guard fired.
    """
    subscriptionId: NotRequired[str]
    """Left out of an exit of a position that was bought by hand."""
    triggerId: NotRequired[str]
    """Of the trigger whose exit it is."""
    follower: NotRequired[FollowerIdentity]
    leader: NotRequired[str]
    """Of a copy: whose trade it follows, and the transaction."""
    leaderTx: NotRequired[str]
    conditionId: str
    assetId: str
    side: str
    """Which way shares move, seen from the wallet that is named beside it.
    `SIDE_BUY`: Shares come in, money goes out.
    `SIDE_SELL`: Shares go out, money comes in.
    """
    size: str
    """Shares, and the worst price, USDC per share."""
    limitPrice: str
    state: str
    """Where an order stands. The transitions, their guards and their kinds of end are one
    table in `tradingtools/domain/order_states.py`.
    `ORDER_STATE_CLAIMED`: Durable, reserved, not sent.
    `ORDER_STATE_SUBMITTING`: Durable that a first byte may leave.
    `ORDER_STATE_SUBMITTED`: insiders-api has accepted it.
    `ORDER_STATE_CONFIRMED`: The venue has finished with it; fills are final.
    `ORDER_STATE_FAILED`: It ended without a standing fill.
    `ORDER_STATE_UNKNOWN`: It may or may not exist at insiders-api.
    `ORDER_STATE_LOST`: It provably does not exist and never will.
    `ORDER_STATE_DEAD`: Nobody could find out; a human is called and the money stays
    reserved.
    `ORDER_STATE_RESURRECTED`: It had been given up and appeared after all.
    """
    reason: NotRequired[str]
    """Why it failed, as decisions tell it."""
    filledSize: str
    """Shares and USDC of the fills that stand, and USDC of their fees."""
    filledNotional: str
    fees: str
    times: NotRequired[OrderTimes]


class FundingArbitrageConfig(TypedDict):
    """Funding-rate arbitrage: long spot and short the linear swap of the same coin. Units as
    in MarketMakingConfig.
    """

    spotId: str
    """One of "instruments"."""
    swapId: str
    """One of "instruments"."""
    orderSize: str
    """Of spot in one tranche."""
    maxPosition: str
    """Of spot in all; at least orderSize."""
    horizonH: NotRequired[int]
    """Hours over which the fees of all four orders are spread; left out: 168."""
    entryRate: NotRequired[int]
    """Least rate a year after costs to open, in parts of a million."""
    exitRate: NotRequired[int]
    """Rate a year before costs below which all is closed, in parts of a million, at most
    entryRate; left out: 0.
    """
    spotFee: NotRequired[int]
    """A taker's, in parts of a million of the notional."""
    swapFee: NotRequired[int]
    """A taker's, in parts of a million of the notional."""
    rebalanceBand: NotRequired[int]
    """Difference of the legs that is let be, in parts of a million of the position; left out:
    10000.
    """
    maxLoss: str
    """Of one tranche whose second leg fails, at the books of its entry; in units of money."""
    hedgeDeadlineMs: NotRequired[int]
    """From the first fill of one leg alone; after it, that leg is flattened; left out: 5000."""
    maxSlippage: NotRequired[int]
    """Of each order beyond the best price, in parts of a million; left out: 1000."""


class FundingArbitrageConfigInput(TypedDict):
    """Funding-rate arbitrage: long spot and short the linear swap of the same coin. Units as
    in MarketMakingConfig.
    """

    spotId: str
    """One of "instruments"."""
    swapId: str
    """One of "instruments"."""
    orderSize: int | str
    """Of spot in one tranche."""
    maxPosition: int | str
    """Of spot in all; at least orderSize."""
    horizonH: NotRequired[int]
    """Hours over which the fees of all four orders are spread; left out: 168."""
    entryRate: int
    """Least rate a year after costs to open, in parts of a million."""
    exitRate: NotRequired[int]
    """Rate a year before costs below which all is closed, in parts of a million, at most
    entryRate; left out: 0.
    """
    spotFee: int
    """A taker's, in parts of a million of the notional."""
    swapFee: int
    """A taker's, in parts of a million of the notional."""
    rebalanceBand: NotRequired[int]
    """Difference of the legs that is let be, in parts of a million of the position; left out:
    10000.
    """
    maxLoss: int | str
    """Of one tranche whose second leg fails, at the books of its entry; in units of money."""
    hedgeDeadlineMs: NotRequired[int]
    """From the first fill of one leg alone; after it, that leg is flattened; left out: 5000."""
    maxSlippage: NotRequired[int]
    """Of each order beyond the best price, in parts of a million; left out: 1000."""


class GetBacktestRequest(TypedDict):
    leader: str
    """The leader, in any case: one whose trades the router has judged."""
    sizing: SizingInput
    limits: NotRequired[LimitsInput]
    filters: NotRequired[FiltersInput]
    exits: NotRequired[ExitsInput]
    budget: NotRequired[str]
    """USDC that the follower begins with; absent: as much as he needs."""
    fromMs: NotRequired[int | str]
    """Trades that were judged at or after this instant, milliseconds since the epoch. Absent:
    a day before `toMs`; at most 31 days before it.
    """
    toMs: NotRequired[int | str]
    """And up to it; absent: now."""


class GetRiskUsageResponse(TypedDict):
    """Usage of each scope with limits, and of the portfolio."""

    usage: list[RiskUsage]


class GetSettingsPreviewRequest(TypedDict):
    sizing: NotRequired[SizingInput]
    """Each as an update takes it: present, it replaces the whole of its group."""
    limits: NotRequired[LimitsInput]
    filters: NotRequired[FiltersInput]
    exits: NotRequired[ExitsInput]
    hours: NotRequired[int]
    """Of the past, up to now; 0 or absent: 24."""


class GetSubscriptionDriftResponse(TypedDict):
    outcomes: list[Drift]
    """By market and outcome."""
    walletToldAt: NotRequired[str]
    """When insiders-api told what the wallet holds. Left out as `wallet_size`."""
    nextPageToken: str
    """Empty on the last page."""


class GridConfig(TypedDict):
    """A grid of resting orders between two prices. Sizes and prices are whole numbers of
    units, as in MarketMakingConfig.
    """

    instrumentId: str
    """One of "instruments"."""
    lower: str
    """The lowest level."""
    upper: str
    """The highest level, above lower."""
    cells: int
    """Steps between them; levels are one more."""
    orderSize: str
    """Of each level."""
    postOnly: NotRequired[bool]
    """Orders that would trade at once are refused; left out: false."""
    openingSlippage: NotRequired[str]
    """How far above the best ask the first inventory may be bought, in units of price; left
    out: 0.
    """


class GridConfigInput(TypedDict):
    """A grid of resting orders between two prices. Sizes and prices are whole numbers of
    units, as in MarketMakingConfig.
    """

    instrumentId: str
    """One of "instruments"."""
    lower: int | str
    """The lowest level."""
    upper: int | str
    """The highest level, above lower."""
    cells: int
    """Steps between them; levels are one more."""
    orderSize: int | str
    """Of each level."""
    postOnly: NotRequired[bool]
    """Orders that would trade at once are refused; left out: false."""
    openingSlippage: NotRequired[int | str]
    """How far above the best ask the first inventory may be bought, in units of price; left
    out: 0.
    """


class Health(TypedDict):
    """The process answers."""

    status: str
    """Always "ok"."""


class KillSwitch(TypedDict):
    """A kill switch: bots cancel, close what they hold, and look again after the last possible
    arrival.
    """

    id: str
    tenant: str
    exchange: str
    """Empty: all of them."""
    reason: str
    actor: str
    """Who set it."""
    wallets: list[KillSwitchWallet]
    setAt: NotRequired[str]
    doneAt: NotRequired[str]
    """When the last wallet was done; left out: it goes on."""
    clearedAt: NotRequired[str]
    """When it was cleared; left out: nothing of it may start."""
    clearedBy: str
    """Who cleared it."""


class KillSwitchWallet(TypedDict):
    """How far a kill switch is with one wallet."""

    walletId: str
    phase: str
    """"WAITING" (no engine has begun), "CANCELLING", "FLATTENING", "SECOND_SWEEP", "DONE"."""
    engine: str
    bots: int
    orders: int
    """That may still fill."""
    holdings: int
    """Bots that hold something still."""
    lastArrivalAt: NotRequired[str]
    """After it nothing that has left can arrive any more; left out: not known yet."""
    detail: str
    """What is held still, in words."""
    changedAt: NotRequired[str]


class Leader(TypedDict):
    """What is known of a leader."""

    wallet: str
    """Lower case."""
    asOf: NotRequired[str]
    """When it was true, and the name of the snapshot that it is of."""
    snapshot: str
    gaps: list[str]
    """Why the record is no evidence that he is worth following; empty: it is."""
    edge: NotRequired[float]
    """Profit by cost of resolved markets without the best week, shrunk by their number n by n
    / (n + 30).
    """
    score: NotRequired[float]
    """The edge less the slippage of 100 USDC three seconds later."""
    performance: list[LeaderPerformance]
    """The five windows."""
    firstTradeAt: NotRequired[str]
    lastTradeAt: NotRequired[str]
    medianSize: NotRequired[str]
    """USDC of his buys, the lower median."""
    holdingMs: NotRequired[str]
    """From purchase to sale, merge or resolution, median of shares, milliseconds."""
    maker: NotRequired[str]
    """USDC that he traded as maker and as taker."""
    taker: NotRequired[str]
    concentration: NotRequired[float]
    """Sum of the squared shares that markets have in what he bought: 1 is one market."""
    latencyClass: str
    """How soon after a leader's buys the price has moved away from a follower.
    `LATENCY_CLASS_UNSPECIFIED`: No book was recorded after his trades.
    `LATENCY_CLASS_SLOW`: Ten seconds cost no more than one: he is followed at leisure.
    `LATENCY_CLASS_QUICK`: Ten seconds cost more than half a percent more than one.
    `LATENCY_CLASS_NEWS`: They cost more than two percent more: he trades on news.
    """
    openCost: str
    """USDC of what is held: its cost, and its worth at marks; outcomes without a mark."""
    openValue: NotRequired[str]
    unmarked: str
    unknownCost: str
    """USDC that he got for shares that were bought before his record begins: in no profit."""
    categories: list[LeaderCategoryRecord]
    """The most bought first."""
    copyability: list[LeaderCopyability]
    days: list[LeaderChartDay]
    """Of one leader only, oldest first."""


class LeaderCategoryRecord(TypedDict):
    """A leader's record in one category."""

    category: str
    trades: str
    markets: str
    bought: str
    realised: str
    resolved: str
    won: str


class LeaderChartDay(TypedDict):
    """One UTC day of a leader, for a chart."""

    day: NotRequired[str]
    """Its first instant."""
    realised: str
    """USDC."""
    cumulative: str
    """Realised since the record begins, at the end of the day."""
    trades: str
    equity: NotRequired[str]
    """Cumulative and what was held, at the day's last marks, less its cost."""


class LeaderCopyability(TypedDict):
    """What followers would have got at the books recorded so long after the leader's buys,
    paying at most 3 % more than he did.
    """

    delaySeconds: int
    amount: str
    """USDC of each copy."""
    observed: str
    """Buys with a recorded book, and those without, which say nothing."""
    unobserved: str
    spent: str
    """USDC over all observed: spent, what its shares cost at the leader's price, and what
    found no seller.
    """
    leaderCost: str
    unfilled: str
    slippage: NotRequired[float]
    """What was paid more than the leader, as a part of what he would have paid."""
    filled: NotRequired[float]
    """Spent by wanted."""


class LeaderFilter(TypedDict):
    """What a leader's statistics (GET /leaders/{wallet}) have to be for his buys to be copied;
    of the last ninety days unless a field says otherwise. At least one bound.
    """

    minTrades30d: NotRequired[int]
    """Trades in the last thirty days."""
    minWinRate: NotRequired[str]
    """Of the lower bound of his win rate (95 %), 0 to 1."""
    minProfitFactor: NotRequired[str]
    """Gains by losses."""
    maxDrawdown: NotRequired[str]
    """The largest fall from a peak, by what was at work, 0 to 1."""
    minCopyability: NotRequired[str]
    """His edge less what 100 USDC three seconds after him cost more, 0 to 1."""
    onMissing: NotRequired[str]
    """What becomes of a leader's buy where statistics are asked for that are not known, or too
    old.
    `ON_MISSING_SKIP`: It is not copied. What an absent field means.
    `ON_MISSING_COPY`: It is copied.
    """
    maxAgeSeconds: NotRequired[int]
    """Of the statistics; 900 when absent."""


class LeaderFilterInput(TypedDict):
    """What a leader's statistics (GET /leaders/{wallet}) have to be for his buys to be copied;
    of the last ninety days unless a field says otherwise. At least one bound.
    """

    minTrades30d: NotRequired[int]
    """Trades in the last thirty days."""
    minWinRate: NotRequired[str]
    """Of the lower bound of his win rate (95 %), 0 to 1."""
    minProfitFactor: NotRequired[str]
    """Gains by losses."""
    maxDrawdown: NotRequired[str]
    """The largest fall from a peak, by what was at work, 0 to 1."""
    minCopyability: NotRequired[str]
    """His edge less what 100 USDC three seconds after him cost more, 0 to 1."""
    onMissing: NotRequired[Literal["ON_MISSING_SKIP", "ON_MISSING_COPY"]]
    """What becomes of a leader's buy where statistics are asked for that are not known, or too
    old.
    `ON_MISSING_SKIP`: It is not copied. What an absent field means.
    `ON_MISSING_COPY`: It is copied.
    """
    maxAgeSeconds: NotRequired[int]
    """Of the statistics; 900 when absent."""


class LeaderPerformance(TypedDict):
    """A leader's result within a window that ends at `asOf`. USDC before fees."""

    window: str
    """"1d", "7d", "30d", "90d" or "all"."""
    realised: str
    """Profit of what was sold, merged or resolved within it."""
    marked: NotRequired[str]
    """The same and the change of what is held, at marks; left out: something held has no mark."""
    bought: str
    closedCost: str
    """Cost of what was sold, merged or resolved within it."""
    roi: NotRequired[float]
    """Realised by closed cost."""
    trades: str
    markets: str
    resolved: str
    """Markets that resolved within it, and those of them that were won. Both sides of a
    market, and markets that can be converted into each other, are one; one whose cost is
    not known whole is none.
    """
    won: str
    winRate: NotRequired[float]
    """Won by resolved, and its Wilson bounds at 95 %."""
    winRateLow: NotRequired[float]
    winRateHigh: NotRequired[float]
    profitFactor: NotRequired[float]
    """Profit of won markets by the loss of lost ones."""
    sharpe: NotRequired[float]
    """Of daily realised results, a year having 365 days."""
    sortino: NotRequired[float]
    largestDrawdown: str
    """The largest fall of realised profit from its peak, and as a part of the most that was at
    work and the profit at the peak.
    """
    largestDrawdownFraction: NotRequired[float]


class LeaderSimulation(TypedDict):
    """What a follower would have made of a leader."""

    wallet: str
    """Lower case."""
    since: NotRequired[str]
    until: NotRequired[str]
    delaySeconds: int
    trades: int
    """Of the leader within the time."""
    outcome: NotRequired[CopyOutcome]
    unknown: list[str]
    """What is assumed, and what is not known, a sentence each."""


class LeasedWallet(TypedDict):
    """A wallet that an engine has."""

    id: str
    exchange: str
    bots: int
    """All bots of it, also those that rest."""
    epoch: str
    """Rises with each engine that takes it."""


class Limits(TypedDict):
    """What a copy must respect. An absent limit does not limit; "0" allows nothing."""

    maxPerTrade: NotRequired[str]
    """USDC per leader trade."""
    maxPerMarket: NotRequired[str]
    """USDC at cost in one market (condition): held and reserved."""
    maxSlippage: NotRequired[str]
    """How much more than the leader's price a copied buy may cost, as a fraction: "0.03" is 3
    %. Absent: 0.03.
    """
    maxAgeMs: NotRequired[int]
    """Entries older than this are not made, milliseconds. Absent: 60000."""
    maxPerLeader: NotRequired[str]
    """USDC at cost in all markets of this subscription: held and reserved."""
    maxTotal: NotRequired[str]
    """USDC at cost of the follower's wallet over all its subscriptions: held and reserved."""
    maxPerDay: NotRequired[str]
    """USDC spent on entries in one UTC day, fees included."""
    maxSpread: NotRequired[str]
    """Best ask minus best bid, USDC per share."""
    minDepthFraction: NotRequired[str]
    """Part of the size that the book must hold within the limit. Absent: 0.5."""
    maxOpenPositions: NotRequired[int]
    """Outcomes that are held or being bought at once."""
    maxBuysPerOutcome: NotRequired[int]
    """Leader trades that are copied in one outcome within 90 days."""
    onDoubtfulBook: NotRequired[str]
    """What is done without a book that can be trusted. With maxSpread, or minDepthFraction
    above 0, a copy is never ordered without one, whatever this says. What an entry does
    while its book says nothing: stale, crossed, or not there yet.
    `DOUBTFUL_BOOK_COPY`: It is ordered at the leader's limit, without a look at depth and
    spread. What an absent field means.
    `DOUBTFUL_BOOK_WAIT`: It waits doubtfulBookWaitMs for a good book, and is skipped
    without one.
    `DOUBTFUL_BOOK_SKIP`: It is skipped.
    """
    doubtfulBookWaitMs: NotRequired[int]
    """How long DOUBTFUL_BOOK_WAIT waits, milliseconds. Absent: 500. Only with it."""


class LimitsInput(TypedDict):
    """What a copy must respect. An absent limit does not limit; "0" allows nothing."""

    maxPerTrade: NotRequired[str]
    """USDC per leader trade."""
    maxPerMarket: NotRequired[str]
    """USDC at cost in one market (condition): held and reserved."""
    maxSlippage: NotRequired[str]
    """How much more than the leader's price a copied buy may cost, as a fraction: "0.03" is 3
    %. Absent: 0.03.
    """
    maxAgeMs: NotRequired[int]
    """Entries older than this are not made, milliseconds. Absent: 60000."""
    maxPerLeader: NotRequired[str]
    """USDC at cost in all markets of this subscription: held and reserved."""
    maxTotal: NotRequired[str]
    """USDC at cost of the follower's wallet over all its subscriptions: held and reserved."""
    maxPerDay: NotRequired[str]
    """USDC spent on entries in one UTC day, fees included."""
    maxSpread: NotRequired[str]
    """Best ask minus best bid, USDC per share."""
    minDepthFraction: NotRequired[str]
    """Part of the size that the book must hold within the limit. Absent: 0.5."""
    maxOpenPositions: NotRequired[int]
    """Outcomes that are held or being bought at once."""
    maxBuysPerOutcome: NotRequired[int]
    """Leader trades that are copied in one outcome within 90 days."""
    onDoubtfulBook: NotRequired[
        Literal["DOUBTFUL_BOOK_COPY", "DOUBTFUL_BOOK_WAIT", "DOUBTFUL_BOOK_SKIP"]
    ]
    """What is done without a book that can be trusted. With maxSpread, or minDepthFraction
    above 0, a copy is never ordered without one, whatever this says. What an entry does
    while its book says nothing: stale, crossed, or not there yet.
    `DOUBTFUL_BOOK_COPY`: It is ordered at the leader's limit, without a look at depth and
    spread. What an absent field means.
    `DOUBTFUL_BOOK_WAIT`: It waits doubtfulBookWaitMs for a good book, and is skipped
    without one.
    `DOUBTFUL_BOOK_SKIP`: It is skipped.
    """
    doubtfulBookWaitMs: NotRequired[int]
    """How long DOUBTFUL_BOOK_WAIT waits, milliseconds. Absent: 500. Only with it."""


class ListBotEnginesResponse(TypedDict):
    """Engines by name."""

    engines: list[BotEngine]
    waitingWallets: list[str]
    """Wallets whose bots have to run and that no engine has: none lives, has room, or can
    their exchange.
    """


class ListBotEventsResponse(TypedDict):
    """Events of a bot, the newest first."""

    events: list[BotEvent]
    nextPageToken: str
    """Empty: there are no more."""


class ListBotFillsResponse(TypedDict):
    """Fills of a bot, the last booked first."""

    fills: list[BotFill]
    nextPageToken: str
    """Empty: there are no more."""


class ListBotOrdersResponse(TypedDict):
    """Orders of a bot, the newest first."""

    orders: list[BotOrder]
    nextPageToken: str
    """Empty: there are no more."""


class ListBotPnlResponse(TypedDict):
    """The series of a bot's profit, the newest first."""

    points: list[BotPnlPoint]
    nextPageToken: str
    """Empty: there are no more."""


class ListBotPositionsResponse(TypedDict):
    """The positions of a bot, by instrument."""

    positions: list[BotPosition]
    writtenAt: NotRequired[str]
    """When its engine wrote them; left out: never yet."""


class ListBotsResponse(TypedDict):
    """Bots, the oldest first."""

    bots: list[Bot]
    nextPageToken: str
    """Empty: there are no more."""


class ListEventPageResponse(TypedDict):
    """A page of the log."""

    events: list[CloudEvent]
    """The oldest first."""
    nextAfter: NotRequired[str]
    """Ask after this number for the next ones; absent: there are no more for now. A page may
    be empty and have one.
    """


class ListExchangesResponse(TypedDict):
    """Exchanges by name."""

    exchanges: list[Exchange]
    signer: bool
    """Whether a signer runs beside this engine, without which no wallet can be added."""


class ListFollowerOrdersResponse(TypedDict):
    orders: list[FollowerOrder]
    """Newest first."""
    nextPageToken: str
    """Empty on the last page."""


class ListKillSwitchesResponse(TypedDict):
    """Kill switches that stand, and the last twenty that were cleared, the newest first."""

    killSwitches: list[KillSwitch]


class ListLeadersResponse(TypedDict):
    leaders: list[Leader]
    """The best first, without `days`."""
    nextPageToken: str
    """Empty on the last page."""
    asOf: NotRequired[str]
    """When the snapshot was true; left out: nothing has been computed yet, or it was too long
    ago.
    """
    snapshot: str
    """Its name; empty without one."""


class ListResyncsResponse(TypedDict):
    resyncs: list[Resync]
    """Newest first."""
    nextPageToken: str
    """Empty on the last page."""


class ListRiskBreachesResponse(TypedDict):
    """Breaches, the newest first."""

    breaches: list[RiskBreach]
    nextPageToken: str
    """Empty: there are no more."""


class ListRiskLimitsResponse(TypedDict):
    """Limits, by scope and subject."""

    limits: list[RiskLimits]


class ListSessionsResponse(TypedDict):
    """Sessions that go on, the newest first; at most 200."""

    sessions: list[LoginSession]


class ListSignalsResponse(TypedDict):
    """Signals, the last received first."""

    signals: list[Signal]
    nextPageToken: str
    """Empty: there are no more."""


class ListSimpleTriggersResponse(TypedDict):
    triggers: list[SimpleTrigger]
    """Oldest first; other kinds are left out."""
    nextPageToken: str
    """Empty on the last page."""


class ListStrategiesResponse(TypedDict):
    """The strategies, by name."""

    strategies: list[Strategy]


class ListSubscriptionDecisionsResponse(TypedDict):
    decisions: list[Decision]
    """Newest first."""
    nextPageToken: str
    """Empty on the last page."""


class ListSubscriptionFillsResponse(TypedDict):
    fills: list[Fill]
    """Newest first."""
    nextPageToken: str
    """Empty on the last page."""


class ListSubscriptionPositionsResponse(TypedDict):
    positions: list[Position]
    """By market and outcome."""
    nextPageToken: str
    """Empty on the last page."""


class ListSubscriptionsResponse(TypedDict):
    subscriptions: list[Subscription]
    """Oldest first."""
    nextPageToken: str
    """Empty on the last page."""


class ListTriggerHistoryResponse(TypedDict):
    entries: list[TriggerHistoryEntry]
    """Oldest first."""
    nextPageToken: str
    """Empty on the last page."""


class ListTriggersResponse(TypedDict):
    triggers: list[Trigger]
    """Oldest first."""
    nextPageToken: str
    """Empty on the last page."""


class ListUserEventsResponse(TypedDict):
    """The newest first."""

    events: list[UserEvent]
    nextPageToken: str
    """Empty: there are no more."""


class ListUsersResponse(TypedDict):
    """Users, the oldest first."""

    users: list[User]
    nextPageToken: str
    """Empty: there are no more."""


class ListWalletsResponse(TypedDict):
    """Wallets, the oldest first."""

    wallets: list[Wallet]
    nextPageToken: str
    """Empty: there are no more."""


class ListWebhookDeliveriesResponse(TypedDict):
    """Attempts of an endpoint, the newest first. The last thousand are kept."""

    deliveries: list[WebhookDelivery]
    nextPageToken: str
    """Empty: there are no more."""


class ListWebhookEndpointsResponse(TypedDict):
    """All endpoints, the oldest first."""

    endpoints: list[WebhookEndpoint]


class LogInRequest(TypedDict):
    user: str
    """Name of the user."""
    password: str
    """As it was chosen, or a one-time password."""
    newPassword: NotRequired[str]
    """Takes the place of the password, and ends the user's other sessions; required with a
    one-time password. Left out: the password stays.
    """


class LogOutResponse(TypedDict):
    pass


class LoginKey(TypedDict):
    """A public key that access tokens are signed with (RFC 7517)."""

    kty: str
    crv: str
    alg: str
    use: str
    kid: str
    x: str
    y: str


class LoginKeys(TypedDict):
    """Keys of now, of before and of next; empty: nobody can log in here."""

    keys: list[LoginKey]


class LoginSession(TypedDict):
    """From a login to a logout."""

    id: str
    address: str
    """Where it was begun."""
    client: str
    """The program that it was begun with, as it said."""
    createdAt: NotRequired[str]
    usedAt: NotRequired[str]
    expiresAt: NotRequired[str]
    current: bool
    """Of the caller himself."""


class LoginTokens(TypedDict):
    """Tokens of a session."""

    accessToken: str
    """Bearer token of the next 15 minutes: a JWT, ES256."""
    expiresAt: NotRequired[str]
    refreshToken: str
    """Gives the next tokens, once. Shown a second time, it ends the session."""
    sessionExpiresAt: NotRequired[str]
    """When the session ends unless it is refreshed."""
    sessionId: str
    user: str
    """Name of the user."""
    role: str
    """What a person may do.
    `ROLE_ADMIN`: Everything, on all exchanges; makes users.
    `ROLE_OPERATOR`: Reads and changes what belongs to the exchanges of his list.
    `ROLE_VIEWER`: Reads.
    """
    exchanges: list[str]
    """Of an operator; empty: none."""


class LossLimit(TypedDict):
    """How much may be lost."""

    amount: NotRequired[str]
    """USDC, decimal string, more than 0."""
    fraction: NotRequired[str]
    """Of the wallet's equity, decimal string between 0 and 1. Only for a wallet that was
    funded. What is put in or taken out is neither profit nor loss.
    """


class LossLimitInput(TypedDict):
    """How much may be lost."""

    amount: NotRequired[str]
    """USDC, decimal string, more than 0."""
    fraction: NotRequired[str]
    """Of the wallet's equity, decimal string between 0 and 1. Only for a wallet that was
    funded. What is put in or taken out is neither profit nor loss.
    """


class LossStop(TypedDict):
    """Stops a subscription that loses: realised less fees, and what all that is held would
    fetch now less its cost. A book that cannot be trusted is no loss.
    """

    session: NotRequired[LossLimit]
    """Since the subscription was made or resumed."""
    day: NotRequired[LossLimit]
    """Since midnight in the engine's time zone (TT_PERFMON_TIME_ZONE)."""
    fromPeak: NotRequired[LossLimit]
    """Since the best result since the baseline."""
    total: NotRequired[LossLimit]
    """Since the baseline: the subscription was made, or resumed after a loss stop."""
    action: str
    """What a loss stop does.
    `LOSS_ACTION_PAUSE`: The subscription is paused.
    `LOSS_ACTION_PAUSE_AND_EXIT`: It is paused, and all that it holds is sold at any price,
    as by a time stop.
    `LOSS_ACTION_REDUCE_ONLY`: It is paused, and its wallet buys nothing until an operator
    clears the halt.
    """
    scope: NotRequired[str]
    """Whose result a loss stop judges.
    `PERFORMANCE_SCOPE_SUBSCRIPTION`: The subscription's. What an absent field means.
    `PERFORMANCE_SCOPE_WALLET`: That of all subscriptions of the follower's wallet together.
    """


class LossStopInput(TypedDict):
    """Stops a subscription that loses: realised less fees, and what all that is held would
    fetch now less its cost. A book that cannot be trusted is no loss.
    """

    session: NotRequired[LossLimitInput]
    """Since the subscription was made or resumed."""
    day: NotRequired[LossLimitInput]
    """Since midnight in the engine's time zone (TT_PERFMON_TIME_ZONE)."""
    fromPeak: NotRequired[LossLimitInput]
    """Since the best result since the baseline."""
    total: NotRequired[LossLimitInput]
    """Since the baseline: the subscription was made, or resumed after a loss stop."""
    action: Literal["LOSS_ACTION_PAUSE", "LOSS_ACTION_PAUSE_AND_EXIT", "LOSS_ACTION_REDUCE_ONLY"]
    """What a loss stop does.
    `LOSS_ACTION_PAUSE`: The subscription is paused.
    `LOSS_ACTION_PAUSE_AND_EXIT`: It is paused, and all that it holds is sold at any price,
    as by a time stop.
    `LOSS_ACTION_REDUCE_ONLY`: It is paused, and its wallet buys nothing until an operator
    clears the halt.
    """
    scope: NotRequired[Literal["PERFORMANCE_SCOPE_SUBSCRIPTION", "PERFORMANCE_SCOPE_WALLET"]]
    """Whose result a loss stop judges.
    `PERFORMANCE_SCOPE_SUBSCRIPTION`: The subscription's. What an absent field means.
    `PERFORMANCE_SCOPE_WALLET`: That of all subscriptions of the follower's wallet together.
    """


class ManualLotInput(TypedDict):
    """Shares that the follower has bought by hand, in the trading terminal; triggers sell them
    as they sell copied ones.
    """

    followerUserId: str
    """The backend's user id."""
    followerWalletId: str
    """The custodial wallet's id at the wallet provider (not an address)."""
    heldSize: str
    """Shares of the asset that the wallet holds by hand now, without those that exits have
    sold, settled or not; decimal string. It takes the place of what was told before, and
    cannot be less than what exits may still take, nor more than what they have left while
    what they have sold is not settled.
    """


class MarketMakingConfig(TypedDict):
    """Market making after Avellaneda and Stoikov. Sizes and prices are whole numbers of units:
    at OKX 0.00000001 of a size and 0.0000000001 of a price, at Polymarket 0.000001 of both.
    """

    instrumentId: str
    """One of "instruments"."""
    complementId: str
    """The other outcome of a binary; empty: none is traded."""
    orderSize: str
    """Of each quote."""
    maxPosition: str
    """Largest holding on either side."""
    riskAversion: NotRequired[str]
    """More than 0; left out: 0.1."""
    horizonS: NotRequired[str]
    """Seconds, more than 0; left out: 60."""
    arrivalDecay: NotRequired[str]
    """How fast arrivals fade with the distance from the mid, by a price of 1; more than 0;
    left out: 100.
    """
    minHalfSpread: NotRequired[str]
    """Left out: 0."""
    maxHalfSpread: str
    """At least minHalfSpread."""
    volatilityHalfLifeS: NotRequired[str]
    """Seconds, more than 0; left out: 60."""
    requoteTicks: NotRequired[int]
    """A quote that is nearer than this to where it should be stays; left out: 1."""
    toxicImbalance: NotRequired[str]
    """Part of the recent prints' size on one side from which quotes in their way back off;
    more than 0 and at most 1; left out: 0.8.
    """
    toxicHalfLifeS: NotRequired[str]
    """Seconds, more than 0; left out: 10."""
    backOffMs: NotRequired[int]
    """Left out: 5000."""
    markoutS: NotRequired[str]
    """Seconds from a fill to the mid that judges it, more than 0; left out: 10."""
    adverseWeight: NotRequired[str]
    """How much wider quotes are by the mean loss of fills within that time, at most 10; 0:
    they are not; left out: 1.
    """


class MarketMakingConfigInput(TypedDict):
    """Market making after Avellaneda and Stoikov. Sizes and prices are whole numbers of units:
    at OKX 0.00000001 of a size and 0.0000000001 of a price, at Polymarket 0.000001 of both.
    """

    instrumentId: str
    """One of "instruments"."""
    complementId: NotRequired[str]
    """The other outcome of a binary; empty: none is traded."""
    orderSize: int | str
    """Of each quote."""
    maxPosition: int | str
    """Largest holding on either side."""
    riskAversion: NotRequired[str]
    """More than 0; left out: 0.1."""
    horizonS: NotRequired[str]
    """Seconds, more than 0; left out: 60."""
    arrivalDecay: NotRequired[str]
    """How fast arrivals fade with the distance from the mid, by a price of 1; more than 0;
    left out: 100.
    """
    minHalfSpread: NotRequired[int | str]
    """Left out: 0."""
    maxHalfSpread: int | str
    """At least minHalfSpread."""
    volatilityHalfLifeS: NotRequired[str]
    """Seconds, more than 0; left out: 60."""
    requoteTicks: NotRequired[int]
    """A quote that is nearer than this to where it should be stays; left out: 1."""
    toxicImbalance: NotRequired[str]
    """Part of the recent prints' size on one side from which quotes in their way back off;
    more than 0 and at most 1; left out: 0.8.
    """
    toxicHalfLifeS: NotRequired[str]
    """Seconds, more than 0; left out: 10."""
    backOffMs: NotRequired[int]
    """Left out: 5000."""
    markoutS: NotRequired[str]
    """Seconds from a fill to the mid that judges it, more than 0; left out: 10."""
    adverseWeight: NotRequired[str]
    """How much wider quotes are by the mean loss of fills within that time, at most 10; 0:
    they are not; left out: 1.
    """


class MissedCopies(TypedDict):
    """Leader's buys, and parts of orders, that did not come to be for one reason. USDC."""

    reason: str
    """Reason code of decisions and orders; empty: all."""
    number: str
    unknown: str
    """Those of them whose size or whose worth now is not known; they are in no sum. So are all
    sells.
    """
    cost: str
    """What they would have cost at the leader's price, by the sizing that the subscription has
    now.
    """
    made: str
    """What they would have gained since: more than 0 is what the reason has cost, less what it
    has saved.
    """


class MissedCopiesReport(TypedDict):
    """What was missed in a time."""

    reasons: list[MissedCopies]
    """By reason, what has cost the most first. They add up to the total."""
    total: NotRequired[MissedCopies]


class OneTimePassword(TypedDict):
    oneTimePassword: str
    """Good for 24 hours and one login, which names a new one."""
    expiresAt: NotRequired[str]


class OrderTimes(TypedDict):
    """When an order passed each hop, as far as it came; left out: not, or nobody was left to
    write it down. Microseconds. Each is by the clock of the machine on which it happened.
    """

    tradedAt: NotRequired[str]
    """The leader's trade, as the venue has it, whole seconds. Left out of a guard's exit."""
    receivedAt: NotRequired[str]
    """The frame that told of it was received; of a guard's exit, its trigger had fired."""
    decidedAt: NotRequired[str]
    """What to do was decided."""
    claimedAt: NotRequired[str]
    """The claim was committed."""
    submittingAt: NotRequired[str]
    """SUBMITTING was committed: from here on a byte may leave. Of the first attempt."""
    sentAt: NotRequired[str]
    """The first byte of the POST left, of the last attempt of which that is known."""
    answeredAt: NotRequired[str]
    """Its answer was there."""
    confirmedAt: NotRequired[str]
    """Nothing of it was open any more, and its fills were booked."""


class PerformancePoint(TypedDict):
    """What a subscription has gained from its beginning up to an instant, by the ledger. USDC."""

    at: NotRequired[str]
    bought: str
    sold: str
    payouts: str
    fees: str
    realised: str
    """Profit of what is not held any more, before fees."""
    openCost: str
    """Cost of what is held."""
    marked: NotRequired[str]
    """Worth of what is held less its cost, at the best bids; the last point, if it is now, at
    what selling would fetch. Left out: something held has no mark.
    """
    equity: NotRequired[str]
    """Realised and marked less fees."""
    drawdown: NotRequired[str]
    """Below the highest equity of the points before."""


class PerformanceRules(TypedDict):
    """Rules on a subscription's performance. Not for a shadow."""

    lossStop: NotRequired[LossStop]
    profitScale: NotRequired[ProfitScale]


class PerformanceRulesInput(TypedDict):
    """Rules on a subscription's performance. Not for a shadow."""

    lossStop: NotRequired[LossStopInput]
    profitScale: NotRequired[ProfitScaleInput]


class Portfolio(TypedDict):
    """What all bots hold and have made. Paper and live, and different currencies, are never
    summed.
    """

    parts: list[PortfolioPart]


class PortfolioPart(TypedDict):
    """All bots of one kind of money: paper or live, in one currency. Decimal."""

    live: bool
    """Orders of these bots are real."""
    currency: str
    bots: int
    """Bots that have traded in it."""
    result: str
    """Realised and unrealised, after fees and funding, since the bots were created."""
    today: str
    """Of today, UTC; bots whose marks were never fresh are not in it."""
    gross: str
    """Worth of all that is held, long and short added."""
    net: str
    """Worth of what is held long less what is held short."""
    byExchange: list[PortfolioSlice]
    byInstrument: list[PortfolioSlice]
    markAgeMs: NotRequired[str]
    """How old the oldest mark of what is held is, in milliseconds; left out: nothing is held."""
    unmarked: int
    """Positions that are held and have no mark: they count as worth nothing."""


class PortfolioSlice(TypedDict):
    """A part of a portfolio. Decimal, in the currency of the part that it belongs to."""

    name: str
    """The exchange or the instrument."""
    result: str
    """Realised and unrealised, after fees and funding, since the bots were created."""
    gross: str
    """Worth of all that is held, long and short added."""
    net: str
    """Worth of what is held long less what is held short."""


class Position(TypedDict):
    """The lot of one outcome: shares that this subscription bought, and its account since its
    first fill. A subscription has one leader, so this is the account of follower, leader
    and outcome.
    """

    conditionId: str
    """The market; its outcomes come one after the other."""
    assetId: str
    """The outcome's token."""
    size: str
    """Shares held now; "0": closed."""
    cost: str
    """USDC that they cost, first in, first out, fees apart."""
    boughtSize: str
    """Shares and USDC of all fills that stand."""
    bought: str
    soldSize: str
    sold: str
    fees: str
    realised: str
    """Profit of what is not held any more, USDC before fees; may be negative."""
    value: NotRequired[str]
    """What selling all of it now would fetch, USDC before fees: its volume-weighted bid; after
    the resolution what it pays. Left out when nothing is held, or while there is no fresh
    book.
    """
    sellableSize: NotRequired[str]
    """Shares that found a bid in that; the rest counts as worth nothing."""
    unrealised: NotRequired[str]
    """Value less cost, USDC."""
    slippage: NotRequired[str]
    """USDC that fills were worse than the leader's price; less than 0: better. Left out
    without a leader's price.
    """
    updatedAt: NotRequired[str]
    """When a fill or a payout changed it last."""
    resolvedSize: str
    """Shares that the resolution of the market took, and what they were paid, USDC."""
    payout: str
    redemption: NotRequired[str]
    """Of the market's last redemption. Left out before there is one. Where the redemption of a
    resolved market's shares stands.
    `REDEMPTION_STATE_REQUESTED`: It will be asked for, or was asked for and not accepted.
    `REDEMPTION_STATE_UNKNOWN`: It was asked for and the answer did not come; it is asked
    for again, under the same key.
    `REDEMPTION_STATE_ACCEPTED`: Accepted, and not done.
    `REDEMPTION_STATE_CONFIRMED`: The money is in the wallet.
    """


class ProfitScale(TypedDict):
    """Scales the size of copies with the subscription's result: a factor beside
    `sizing.multiplier`.
    """

    step: str
    """USDC of profit for a step up, of loss for a step down, decimal string, more than 0."""
    factor: str
    """By which a step multiplies the scale, decimal string, more than 1, at most 100."""
    min: str
    """Lowest scale, decimal string, more than 0, at most 1."""
    max: str
    """Highest scale, decimal string, at least 1, at most 100."""
    cooldownSeconds: NotRequired[int]
    """Seconds after a step before the next one up. Absent: none. Down is never waited with."""
    onLoss: NotRequired[str]
    """What a step down does to the scale.
    `ON_LOSS_STEP_DOWN`: It is divided by the factor. What an absent field means.
    `ON_LOSS_RESET`: It is 1 again; one that is below stays.
    """


class ProfitScaleInput(TypedDict):
    """Scales the size of copies with the subscription's result: a factor beside
    `sizing.multiplier`.
    """

    step: str
    """USDC of profit for a step up, of loss for a step down, decimal string, more than 0."""
    factor: str
    """By which a step multiplies the scale, decimal string, more than 1, at most 100."""
    min: str
    """Lowest scale, decimal string, more than 0, at most 1."""
    max: str
    """Highest scale, decimal string, at least 1, at most 100."""
    cooldownSeconds: NotRequired[int]
    """Seconds after a step before the next one up. Absent: none. Down is never waited with."""
    onLoss: NotRequired[Literal["ON_LOSS_STEP_DOWN", "ON_LOSS_RESET"]]
    """What a step down does to the scale.
    `ON_LOSS_STEP_DOWN`: It is divided by the factor. What an absent field means.
    `ON_LOSS_RESET`: It is 1 again; one that is below stays.
    """


class ProportionalSizing(TypedDict):
    """The leader's notional x the follower's equity / the leader's equity. A trade is skipped
    while one of the two is not known; the follower's is the wallet's funding and what
    became of it.
    """


class ProportionalSizingInput(TypedDict):
    """The leader's notional x the follower's equity / the leader's equity. A trade is skipped
    while one of the two is not known; the follower's is the wallet's funding and what
    became of it.
    """


class RatioSizing(TypedDict):
    """A share of what the leader spent."""

    ratio: str
    """Factor on the leader's notional, decimal string, e.g. "0.1" for a tenth; at most 100."""


class RatioSizingInput(TypedDict):
    """A share of what the leader spent."""

    ratio: str
    """Factor on the leader's notional, decimal string, e.g. "0.1" for a tenth; at most 100."""


class ReachedLimit(TypedDict):
    """A limit that is reached."""

    limit: str
    """"max_gross", "stale_copies" (docs/order-states.md)."""
    action: str
    """"REDUCE_ONLY", "CANCEL_AND_STOP"."""
    market: str
    """The only market that it is about; empty: all of the scope."""
    detail: str
    """With numbers."""


class Readiness(TypedDict):
    """Whether the surface can do its work."""

    status: str
    """"ready" or "not ready"; the latter comes as 503."""


class RefreshRequest(TypedDict):
    refreshToken: str
    """Of the last answer of this session."""


class RefusedCopies(TypedDict):
    """Trades of a leader that led to no order, by the first reason."""

    reason: str
    """See the reasons of decisions."""
    count: int


class ReplayWebhookEventsRequest(TypedDict):
    after: NotRequired[int | str]
    """Everything after this number of the log, up to what is delivered by now."""
    since: NotRequired[str]
    """In the place of "after": what was written down at this instant or later."""
    until: NotRequired[str]
    """With "since": what was written down before this instant; absent: up to what is delivered
    by now.
    """


class ResumeBotRequest(TypedDict):
    reason: NotRequired[str]
    """Why; demanded of a bot in RISK_STOPPED."""


class Resync(TypedDict):
    """What would bring a subscription to what its leader's positions imply: first shown, then
    done.
    """

    id: str
    """Made by the engine: rsy_ and 32 hex digits."""
    subscriptionId: str
    """The one that it is for."""
    state: str
    """Where a resync stands.
    `RESYNC_STATE_REQUESTED`: Asked for; the lines are being made.
    `RESYNC_STATE_PREVIEWED`: The lines are there, nothing is done.
    `RESYNC_STATE_EXECUTING`: To be done; not done yet.
    `RESYNC_STATE_EXECUTED`: Every order of the lines was claimed, in one commit.
    `RESYNC_STATE_STALE`: Nothing was done and nothing will be: what it was made of has
    changed.
    """
    atStart: bool
    """It was made with the subscription and executed by itself."""
    lines: list[ResyncLine]
    """An outcome each."""
    omitted: int
    """Outcomes beyond the hundred that have a line: the smallest that the leader holds."""
    leaderToldAt: NotRequired[str]
    """When the leader's holdings were told that the lines are about. Left out while nobody
    knows.
    """
    detail: str
    """Why it is stale."""
    version: str
    """Rises with each change."""
    requestedAt: NotRequired[str]
    """When it was asked for."""
    previewedAt: NotRequired[str]
    """When its lines were made. Left out before."""
    endedAt: NotRequired[str]
    """When it was executed or became stale."""


class ResyncLine(TypedDict):
    """What a resync does with one outcome: an order, or the reason why there is none."""

    conditionId: str
    """The market."""
    assetId: str
    """The outcome's token."""
    leaderSize: NotRequired[str]
    """Shares of the leader; left out while nobody knows."""
    heldSize: str
    """Shares of this subscription's lot when the line was made."""
    side: NotRequired[str]
    """Left out when nothing is done; so are size and limit. Which way shares move, seen from
    the wallet that is named beside it.
    `SIDE_BUY`: Shares come in, money goes out.
    `SIDE_SELL`: Shares go out, money comes in.
    """
    size: NotRequired[str]
    """Shares of the order."""
    limit: NotRequired[str]
    """USDC per share."""
    cost: NotRequired[str]
    """A buy: USDC that it sets aside, its highest fee included."""
    reason: str
    """Why nothing, or less than wanted, is done."""
    detail: str
    """The numbers that were compared."""
    orderId: NotRequired[str]
    """Of the order, once it is claimed."""
    orderState: NotRequired[str]
    """Where an order stands. The transitions, their guards and their kinds of end are one
    table in `tradingtools/domain/order_states.py`.
    `ORDER_STATE_CLAIMED`: Durable, reserved, not sent.
    `ORDER_STATE_SUBMITTING`: Durable that a first byte may leave.
    `ORDER_STATE_SUBMITTED`: insiders-api has accepted it.
    `ORDER_STATE_CONFIRMED`: The venue has finished with it; fills are final.
    `ORDER_STATE_FAILED`: It ended without a standing fill.
    `ORDER_STATE_UNKNOWN`: It may or may not exist at insiders-api.
    `ORDER_STATE_LOST`: It provably does not exist and never will.
    `ORDER_STATE_DEAD`: Nobody could find out; a human is called and the money stays
    reserved.
    `ORDER_STATE_RESURRECTED`: It had been given up and appeared after all.
    """
    filledSize: NotRequired[str]
    """Shares of it that were filled."""


class RiskBreach(TypedDict):
    """A limit that was reached once."""

    scope: str
    """"BOT", or a scope without its prefix: "PORTFOLIO"."""
    subject: str
    """Of a bot its id."""
    limit: str
    action: str
    detail: str
    occurredAt: NotRequired[str]


class RiskLimits(TypedDict):
    """The limits of one scope."""

    tenant: str
    scope: str
    """The bots, or the part of their holdings, that a limit is about (docs/order-states.md).
    `RISK_SCOPE_PORTFOLIO`: All of a tenant.
    `RISK_SCOPE_GROUP`: Instruments that a person has named.
    `RISK_SCOPE_MARKET`: An instrument, or both outcomes of a binary.
    """
    subject: str
    """Wallet, exchange, name of the group, or market; "*": each market by itself; empty: the
    portfolio.
    """
    instruments: list[str]
    """Of a group."""
    limits: NotRequired[ScopeLimits]
    changedBy: str
    """Who changed them last."""
    changedAt: NotRequired[str]


class RiskUsage(TypedDict):
    """How much of a scope is used."""

    limits: NotRequired[RiskLimits]
    gross: str
    """All that bots hold and that could still open for them, both sides together."""
    net: str
    """The worse of long and short."""
    long: str
    """Longs that there could be, less shorts that are held."""
    short: str
    """Shorts that there could be, less longs that are held."""
    market: str
    """The largest one; of every market, the one that all else is about. Empty: none."""
    marketGross: str
    copies: str
    """What copies hold and have ordered in that market; of the scope MARKET."""
    result: str
    """Of all bots, open gains included. Below 0: a loss."""
    dayLoss: str
    drawdown: str
    oldestMs: str
    """Age of the oldest holdings of a bot that trades; 0: there are none."""
    reached: list[ReachedLimit]


class RotateWalletRequest(TypedDict):
    sealed: NotRequired[str]
    """Other credentials of the same account, sealed for this wallet and edition, Base64;
    empty: the credentials stay, and their data key is wrapped anew by the newest master
    key.
    """
    keyId: NotRequired[str]
    """With "sealed": of the key that they are sealed to."""
    edition: NotRequired[int]
    """With "sealed": the edition whose place they take."""


class Rung(TypedDict):
    """One step of a ladder."""

    triggerPrice: str
    """USDC per share, decimal string; above the price of the rung before."""
    fraction: str
    """Of the shares that the lot held when the first rung was reached, decimal string. The
    last rung takes whatever is left and may leave it out.
    """


class RungInput(TypedDict):
    """One step of a ladder."""

    triggerPrice: str
    """USDC per share, decimal string; above the price of the rung before."""
    fraction: NotRequired[str]
    """Of the shares that the lot held when the first rung was reached, decimal string. The
    last rung takes whatever is left and may leave it out.
    """


class ScopeLimits(TypedDict):
    """Limits of a scope; one that is left out does not exist, one of 0 lets nothing in."""

    maxGross: NotRequired[str]
    """Of both sides together."""
    maxNet: NotRequired[str]
    """Of one side, less what is held on the other; not of a market."""
    maxConcentration: NotRequired[str]
    """Part of maxGross that one market may take, at most 1; not of a market."""
    maxDailyLoss: NotRequired[str]
    """Of a wallet, an exchange or the portfolio; it stops their bots."""
    maxDrawdown: NotRequired[str]
    """The same, from the highest result since the limits were set."""
    maxWithCopies: NotRequired[str]
    """Of a market: bots and copies together; it acts on bots alone."""


class ScopeLimitsInput(TypedDict):
    """Limits of a scope; one that is left out does not exist, one of 0 lets nothing in."""

    maxGross: NotRequired[str]
    """Of both sides together."""
    maxNet: NotRequired[str]
    """Of one side, less what is held on the other; not of a market."""
    maxConcentration: NotRequired[str]
    """Part of maxGross that one market may take, at most 1; not of a market."""
    maxDailyLoss: NotRequired[str]
    """Of a wallet, an exchange or the portfolio; it stops their bots."""
    maxDrawdown: NotRequired[str]
    """The same, from the highest result since the limits were set."""
    maxWithCopies: NotRequired[str]
    """Of a market: bots and copies together; it acts on bots alone."""


class SealingKey(TypedDict):
    """The public key that credentials are sealed to: HPKE (RFC 9180) with X25519, HKDF-SHA256
    and AES-256-GCM, base mode.
    """

    keyId: str
    """32 hex digits of the key's SHA-256. The signer's log says it, too: compare."""
    publicKey: str
    """32 bytes, Base64."""


class SetKillSwitchRequest(TypedDict):
    tenant: NotRequired[str]
    """Empty: "default"."""
    exchange: NotRequired[str]
    """Empty: all of them."""
    reason: NotRequired[str]
    """Why; empty: "by hand"."""


class SetRiskLimitsRequest(TypedDict):
    tenant: NotRequired[str]
    """Empty: "default"."""
    scope: Literal[
        "RISK_SCOPE_WALLET",
        "RISK_SCOPE_EXCHANGE",
        "RISK_SCOPE_PORTFOLIO",
        "RISK_SCOPE_GROUP",
        "RISK_SCOPE_MARKET",
    ]
    """The bots, or the part of their holdings, that a limit is about (docs/order-states.md).
    `RISK_SCOPE_PORTFOLIO`: All of a tenant.
    `RISK_SCOPE_GROUP`: Instruments that a person has named.
    `RISK_SCOPE_MARKET`: An instrument, or both outcomes of a binary.
    """
    subject: NotRequired[str]
    """Wallet, exchange, name of the group, or market; "*": each market by itself; empty: the
    portfolio.
    """
    instruments: NotRequired[list[str]]
    """Of a group alone: "okx:BTC-USDT-SWAP", "polymarket:<asset>"."""
    limits: NotRequired[ScopeLimitsInput]
    """All of them, in the place of those before; without any, there are none any more."""


class SettingsPreview(TypedDict):
    """The leader's recorded trades, followed by the settings as they are and as they would be."""

    since: NotRequired[str]
    until: NotRequired[str]
    recordedFrom: NotRequired[str]
    """What the recording has of the time, whoever traded; left out: nothing."""
    recordedTo: NotRequired[str]
    trades: int
    """Of the leader within the time."""
    current: NotRequired[CopyOutcome]
    proposed: NotRequired[CopyOutcome]
    unknown: list[str]
    """What is assumed, and what is not known, a sentence each."""


class SettleBotOrderRequest(TypedDict):
    orderId: str
    """Its client order id."""
    filled: str
    """The size that it has filled in all, decimal; 0: it never was."""
    reason: str
    """The evidence; it is kept for ever."""


class Signal(TypedDict):
    """An outside opinion on the price of an instrument, for the bots of a tenant that trade by
    signals.
    """

    id: str
    """Of its sender, unique within a tenant."""
    tenant: str
    instrumentId: str
    direction: str
    """The direction of a price.
    `SIGNAL_DIRECTION_NEUTRAL`: Neither: a position that a signal opened is closed.
    """
    confidence: str
    """From 0 to 1."""
    madeAt: NotRequired[str]
    expiresAt: NotRequired[str]
    """Nothing opens by it afterwards."""
    receivedAt: NotRequired[str]


class SignalConfig(TypedDict):
    """A position that outside signals set (POST /signals). Sizes are whole numbers of units,
    as in MarketMakingConfig.
    """

    instrumentId: str
    """One of "instruments"."""
    position: str
    """Held, long or short, when a signal says so."""
    minConfidence: NotRequired[int]
    """Least confidence of a signal that counts, in parts of a million; left out: 600000."""
    maxAgeMs: NotRequired[int]
    """An older signal is not heard, and a position grows no longer than this; left out: 10000."""
    holdS: NotRequired[int]
    """When a position is closed that no signal has renewed, in seconds; left out: 3600."""
    reverse: NotRequired[bool]
    """An opposite signal turns the position, otherwise it only closes it; left out: false."""
    maxSlippage: NotRequired[int]
    """How far beyond the best price an order may go, in parts of a million; left out: 1000."""
    halfLifeS: NotRequired[int]
    """In so many seconds a signal's confidence halves; 0: it stays; left out: 0."""


class SignalConfigInput(TypedDict):
    """A position that outside signals set (POST /signals). Sizes are whole numbers of units,
    as in MarketMakingConfig.
    """

    instrumentId: str
    """One of "instruments"."""
    position: int | str
    """Held, long or short, when a signal says so."""
    minConfidence: NotRequired[int]
    """Least confidence of a signal that counts, in parts of a million; left out: 600000."""
    maxAgeMs: NotRequired[int]
    """An older signal is not heard, and a position grows no longer than this; left out: 10000."""
    holdS: NotRequired[int]
    """When a position is closed that no signal has renewed, in seconds; left out: 3600."""
    reverse: NotRequired[bool]
    """An opposite signal turns the position, otherwise it only closes it; left out: false."""
    maxSlippage: NotRequired[int]
    """How far beyond the best price an order may go, in parts of a million; left out: 1000."""
    halfLifeS: NotRequired[int]
    """In so many seconds a signal's confidence halves; 0: it stays; left out: 0."""


class SimpleTrigger(TypedDict):
    """A take-profit or stop-loss in the product backend's own shape: `docs/api.md` maps it to
    Trigger.
    """

    id: str
    """That of the trigger: trg_ and 32 hex digits."""
    walletAddress: str
    """The follower's wallet."""
    conditionId: str
    """The market."""
    assetId: str
    """The outcome's token."""
    side: str
    """Always "sell"."""
    triggerType: str
    """"take_profit" or "stop_loss"."""
    triggerPrice: float
    """USDC per share."""
    size: NotRequired[float]
    """USDC at the trigger price; absent: whatever the lot holds."""
    status: str
    """"pending", "triggered", "cancelled" or "failed"."""
    createdAt: NotRequired[str]
    """When it was made."""
    subscriptionId: str
    """The lot: shares that were bought for this subscription; empty: by hand."""


class Sizing(TypedDict):
    """How large a copy is before any limit. Exactly one form."""

    fixed: NotRequired[FixedSizing]
    ratio: NotRequired[RatioSizing]
    proportional: NotRequired[ProportionalSizing]
    tiers: NotRequired[TieredSizing]
    multiplier: NotRequired[str]
    """Factor on what the mode gives, decimal string, more than 0, at most 100. Absent: 1."""
    belowMinimum: NotRequired[str]
    """What becomes of a copy below the market's minimum order.
    `BELOW_MINIMUM_SKIP`: It is skipped. What an absent field means.
    `BELOW_MINIMUM_ROUND_UP`: The minimum is bought, if every limit still allows it.
    `BELOW_MINIMUM_ACCUMULATE`: Its money is added to the next copies of the outcome, until
    they reach the minimum.
    """


class SizingInput(TypedDict):
    """How large a copy is before any limit. Exactly one form."""

    fixed: NotRequired[FixedSizingInput]
    ratio: NotRequired[RatioSizingInput]
    proportional: NotRequired[ProportionalSizingInput]
    tiers: NotRequired[TieredSizingInput]
    multiplier: NotRequired[str]
    """Factor on what the mode gives, decimal string, more than 0, at most 100. Absent: 1."""
    belowMinimum: NotRequired[
        Literal["BELOW_MINIMUM_SKIP", "BELOW_MINIMUM_ROUND_UP", "BELOW_MINIMUM_ACCUMULATE"]
    ]
    """What becomes of a copy below the market's minimum order.
    `BELOW_MINIMUM_SKIP`: It is skipped. What an absent field means.
    `BELOW_MINIMUM_ROUND_UP`: The minimum is bought, if every limit still allows it.
    `BELOW_MINIMUM_ACCUMULATE`: Its money is added to the next copies of the outcome, until
    they reach the minimum.
    """


class SizingTier(TypedDict):
    fromNotional: str
    """USDC of the leader's trade, decimal string."""
    fixed: NotRequired[FixedSizing]
    ratio: NotRequired[RatioSizing]


class SizingTierInput(TypedDict):
    fromNotional: str
    """USDC of the leader's trade, decimal string."""
    fixed: NotRequired[FixedSizingInput]
    ratio: NotRequired[RatioSizingInput]


class Strategy(TypedDict):
    """A strategy."""

    name: str
    """As bots have it: "market_making"."""
    configKey: str
    """Its key in "config": "marketMaking"."""
    description: str
    settings: list[StrategySetting]


class StrategySetting(TypedDict):
    """A setting of a strategy."""

    name: str
    """As "config" has it."""
    type: str
    """"string", "integer", "decimal", "boolean"."""
    unit: str
    """"price units", "size units", "money units", "seconds", "milliseconds", "millionths",
    ...; empty: a plain number or text.
    """
    required: bool
    """A bot needs it."""
    default: NotRequired[str]
    """When it is left out; left out: none, or it is required."""
    minimum: NotRequired[str]
    """Bounds, both included; left out: there is none."""
    maximum: NotRequired[str]
    pattern: str
    """A regular expression that a text has to match."""
    description: str
    """What it means."""
    changeable: bool
    """May be changed while a bot has something under way (PATCH /bots/{id})."""


class Subscription(TypedDict):
    """One follower follows one leader."""

    id: str
    """Made by the engine: sub_ and 32 hex digits."""
    follower: NotRequired[FollowerIdentity]
    leader: str
    """The leader's wallet, lower case."""
    state: str
    """Whether a subscription makes new entries. Exits go on in every state.
    `SUBSCRIPTION_STATE_PAUSED`: No new entries; what is held is still guarded and still
    follows the leader's sells.
    `SUBSCRIPTION_STATE_DELETED`: As paused, for good.
    """
    sizing: NotRequired[Sizing]
    limits: NotRequired[Limits]
    version: str
    """Rises with each change; orders are sized under one version and refused under another."""
    createdAt: NotRequired[str]
    """When it was made."""
    updatedAt: NotRequired[str]
    """When it was changed last."""
    statistics: NotRequired[SubscriptionStatistics]
    """On reads only."""
    filters: NotRequired[Filters]
    """Left out when nothing is set."""
    exits: NotRequired[Exits]
    shadow: NotRequired[bool]
    """Decides and records, sends nothing. Left out when false."""
    triggers: NotRequired[DefaultTriggers]
    """Left out when there are none."""
    start: NotRequired[str]
    """Left out when it is the baseline. Which of the leader's positions a subscription
    follows.
    `START_MODE_BASELINE`: Only what the leader trades from now on. What an absent field
    means.
    `START_MODE_MIRROR`: What the leader holds at the start, too: a resync that is executed
    once, by itself.
    """
    performance: NotRequired[PerformanceRules]
    """Left out when there are none."""
    pausedBy: NotRequired[str]
    """These three while it is paused only. Who paused a subscription.
    `PAUSED_BY_PERSON`: A caller.
    `PAUSED_BY_PERFORMANCE`: Its loss stop. Resuming it begins a new baseline, and takes
    back exits that have not fired.
    """
    pauseReason: NotRequired[str]
    """Why, in words; left out when nobody said so."""
    pausedSince: NotRequired[str]
    scale: NotRequired[str]
    """By which `profitScale` multiplies copies now, decimal string; left out when it is 1."""


class SubscriptionPerformance(TypedDict):
    """At most 2200 points, oldest first."""

    points: list[PerformancePoint]
    asOf: NotRequired[str]
    """When the ledger was read."""


class SubscriptionStatistics(TypedDict):
    """What a subscription has done so far."""

    leaderTrades: str
    """Trades of the leader that were decided about."""
    copied: str
    """Those that were decided to be copied."""
    skipped: str
    """Those that were not."""
    ordersConfirmed: str
    """Orders that ended with something filled."""
    ordersFailed: str
    """Orders that ended with nothing filled."""
    ordersUnresolved: str
    """UNKNOWN or DEAD: a human may be needed."""
    bought: str
    """USDC, decimal strings."""
    sold: str
    fees: str
    realised: str
    """Profit of what is not held any more, USDC before fees; may be negative."""
    openCost: str
    """USDC at cost of what is held."""
    paperBought: NotRequired[str]
    """Of a shadow, assumed at the book of each decision: what was paid and got, fees included,
    and the cost of what is held on paper. USDC; left out for others.
    """
    paperSold: NotRequired[str]
    paperOpenCost: NotRequired[str]
    openPositions: str
    """Outcomes that are held."""
    unmarkedPositions: str
    """Those of them without a fresh book: while there are any, the next three are left out."""
    value: NotRequired[str]
    """What selling all that is held would fetch now, USDC before fees."""
    unrealised: NotRequired[str]
    """Value less cost, USDC; may be negative."""
    profit: NotRequired[str]
    """Realised and unrealised less fees, USDC; may be negative."""
    slippage: str
    """USDC that fills were worse than the leader's price; less than 0: better."""
    payouts: str
    """What resolved markets paid, USDC."""
    copyDelayP50Us: NotRequired[str]
    """From the leader's trade as received to the answer to our order, microseconds, of the
    last 200 copies that have ended: median, 90th percentile, and the last one. Left out
    before the first.
    """
    copyDelayP90Us: NotRequired[str]
    copyDelayLastUs: NotRequired[str]


class TieredSizing(TypedDict):
    """Fixed or ratio by the leader's notional: the last tier that it reaches decides."""

    tiers: list[SizingTier]
    """Ascending by `from_notional`; below the first nothing is copied."""


class TieredSizingInput(TypedDict):
    """Fixed or ratio by the leader's notional: the last tier that it reaches decides."""

    tiers: NotRequired[list[SizingTierInput]]
    """Ascending by `from_notional`; below the first nothing is copied."""


class Trigger(TypedDict):
    """Sells a lot, or a part of it, when the price is reached."""

    id: str
    """Made by the engine: trg_ and 32 hex digits."""
    wallet: str
    """The follower's wallet."""
    conditionId: str
    """The market."""
    assetId: str
    """The outcome's token."""
    side: str
    """Always "sell"."""
    triggerType: str
    """What makes a trigger fire. The price is what the size would really fetch: the
    volume-weighted bid.
    `TRIGGER_TYPE_TAKE_PROFIT`: At or above the trigger price.
    `TRIGGER_TYPE_STOP_LOSS`: At or below the trigger price.
    `TRIGGER_TYPE_TRAILING_STOP`: Active once the trigger price is reached; fires a callback
    below the best price since then.
    `TRIGGER_TYPE_TIME_STOP`: From an instant on, at whatever price.
    `TRIGGER_TYPE_LADDER`: Sells a part at or above the price of each of its rungs.
    """
    triggerPrice: str
    """USDC per share, decimal string between 0 and 1; empty for a time stop and a ladder."""
    size: NotRequired[str]
    """Shares to sell, decimal string; absent: whatever the lot holds."""
    status: str
    """Where a trigger stands; `tradingtools/domain/trigger_states.py` has the transitions.
    `TRIGGER_STATUS_WAITING`: Waits for shares: the lot is empty so far.
    `TRIGGER_STATUS_TRIGGERED`: It fired; the exit is claimed with the price and the book it
    saw.
    `TRIGGER_STATUS_CLOSING`: The exit is on its way.
    `TRIGGER_STATUS_NEEDS_CONFIRM`: The exit's outcome is unknown; no second order until it
    is.
    `TRIGGER_STATUS_CANCELLED`: The lot is gone, or the caller deleted it.
    `TRIGGER_STATUS_SUSPENDED`: The book is stale, crossed or empty; judged again at the
    first good one.
    `TRIGGER_STATUS_RESOLVED`: The market has resolved.
    """
    subscriptionId: str
    """The lot: shares that were bought for this subscription; empty: by hand."""
    version: str
    """Rises with each change."""
    createdAt: NotRequired[str]
    """When it was made."""
    updatedAt: NotRequired[str]
    """When it was changed last."""
    generation: int
    """The generation of its arm; an exit that was undone re-arms under a new one."""
    callbackPrice: NotRequired[str]
    """USDC per share, decimal string."""
    callbackFraction: NotRequired[str]
    """Of the peak, decimal string between 0 and 1."""
    peakPrice: NotRequired[str]
    """The best price that a trailing stop has seen; absent: it is not active yet."""
    fireAtMs: NotRequired[str]
    """When a time stop fires, milliseconds since 1970."""
    rungs: list[Rung]
    """Of a ladder, lowest price first."""
    rungsSold: NotRequired[int]
    """How many of them have sold."""
    breakEven: NotRequired[bool]
    """A stop-loss: whether it moves up to the entry price once a rung of its lot has sold."""
    twoTicks: NotRequired[bool]
    """Whether it fires only when two books in a row reach its price; absent for a time stop."""


class TriggerHistoryEntry(TypedDict):
    """One thing that happened to a trigger."""

    fromStatus: str
    """Where a trigger stands; `tradingtools/domain/trigger_states.py` has the transitions.
    `TRIGGER_STATUS_WAITING`: Waits for shares: the lot is empty so far.
    `TRIGGER_STATUS_TRIGGERED`: It fired; the exit is claimed with the price and the book it
    saw.
    `TRIGGER_STATUS_CLOSING`: The exit is on its way.
    `TRIGGER_STATUS_NEEDS_CONFIRM`: The exit's outcome is unknown; no second order until it
    is.
    `TRIGGER_STATUS_CANCELLED`: The lot is gone, or the caller deleted it.
    `TRIGGER_STATUS_SUSPENDED`: The book is stale, crossed or empty; judged again at the
    first good one.
    `TRIGGER_STATUS_RESOLVED`: The market has resolved.
    """
    toStatus: str
    """Where a trigger stands; `tradingtools/domain/trigger_states.py` has the transitions.
    `TRIGGER_STATUS_WAITING`: Waits for shares: the lot is empty so far.
    `TRIGGER_STATUS_TRIGGERED`: It fired; the exit is claimed with the price and the book it
    saw.
    `TRIGGER_STATUS_CLOSING`: The exit is on its way.
    `TRIGGER_STATUS_NEEDS_CONFIRM`: The exit's outcome is unknown; no second order until it
    is.
    `TRIGGER_STATUS_CANCELLED`: The lot is gone, or the caller deleted it.
    `TRIGGER_STATUS_SUSPENDED`: The book is stale, crossed or empty; judged again at the
    first good one.
    `TRIGGER_STATUS_RESOLVED`: The market has resolved.
    """
    occurredAt: NotRequired[str]
    """When it happened."""
    detail: str
    """What it saw, for people: the price that the size would have fetched, the book, the
    order.
    """
    orderId: str
    """The exit order, when there is one."""


class UpdateBotRequest(TypedDict):
    config: NotRequired[BotConfigInput]
    """Present: replaces all settings, of the same strategy. Absent: unchanged."""
    limits: NotRequired[BotLimitsInput]
    """Present: replaces all limits. Absent: unchanged."""
    version: NotRequired[int | str]
    """Present: the change is refused (409) unless the bot has this version."""


class UpdateSubscriptionRequest(TypedDict):
    sizing: NotRequired[SizingInput]
    """Present: replaces the sizing. Absent: unchanged."""
    limits: NotRequired[LimitsInput]
    """Present: replaces all limits. Absent: unchanged."""
    version: NotRequired[int | str]
    """Present: the change is refused (409) unless the subscription has this version."""
    filters: NotRequired[FiltersInput]
    """Present: replaces all filters. Absent: unchanged."""
    exits: NotRequired[ExitsInput]
    """Present: replaces it. Absent: unchanged."""
    triggers: NotRequired[DefaultTriggersInput]
    """Present: replaces all default triggers, for positions that begin from now on. Absent:
    unchanged.
    """
    performance: NotRequired[PerformanceRulesInput]
    """Present: replaces all performance rules; an empty one takes them away. Absent:
    unchanged.
    """


class UpdateTriggerRequest(TypedDict):
    """What is absent stays as it is."""

    triggerPrice: NotRequired[str]
    """USDC per share, decimal string."""
    size: NotRequired[str]
    """Shares, decimal string."""
    version: NotRequired[int | str]
    """Present: the change is refused (409) unless the trigger has this version."""
    callbackPrice: NotRequired[str]
    """USDC per share, less than the trigger price."""
    callbackFraction: NotRequired[str]
    """Of the peak, decimal string between 0 and 1."""
    fireAtMs: NotRequired[int | str]
    """Of a time stop: milliseconds since 1970."""
    rungs: NotRequired[list[RungInput]]
    """Replaces all rungs of a ladder of which none has sold yet."""
    breakEven: NotRequired[bool]
    """Of a stop-loss: whether it moves up to the entry price once a rung has sold."""
    twoTicks: NotRequired[bool]
    """Whether it fires only when two books in a row reach the price; not of a time stop."""


class UpdateUserRequest(TypedDict):
    """What is left out stays."""

    role: NotRequired[Literal["ROLE_ADMIN", "ROLE_OPERATOR", "ROLE_VIEWER"]]
    """What he may do; left out: as before. What a person may do.
    `ROLE_ADMIN`: Everything, on all exchanges; makes users.
    `ROLE_OPERATOR`: Reads and changes what belongs to the exchanges of his list.
    `ROLE_VIEWER`: Reads.
    """
    exchanges: NotRequired[list[str]]
    """The whole list; left out: it stays. "none": an operator of none."""
    disabled: NotRequired[bool]
    """A disabled user's sessions end."""


class UpdateWebhookEndpointRequest(TypedDict):
    url: NotRequired[str]
    """https, or http to a network that the operator allows; absent: as it is."""
    types: NotRequired[list[str]]
    """"order.filled", or "order.*" for all of a kind; "*.*": all; empty: as they are."""
    description: NotRequired[str]
    """For people; absent: as it is."""
    enabled: NotRequired[bool]
    """Whether it gets events. One that is enabled again goes on where it was; absent: as it
    is.
    """


class User(TypedDict):
    """A person who may log in."""

    id: str
    name: str
    role: str
    """What a person may do.
    `ROLE_ADMIN`: Everything, on all exchanges; makes users.
    `ROLE_OPERATOR`: Reads and changes what belongs to the exchanges of his list.
    `ROLE_VIEWER`: Reads.
    """
    exchanges: list[str]
    """Of an operator; empty: none."""
    disabled: bool
    createdAt: NotRequired[str]
    changedAt: NotRequired[str]


class UserEvent(TypedDict):
    """A login, a failure, a change."""

    userId: str
    """Empty: of a name that nobody has."""
    what: str
    actor: str
    """Who did it, as the audit names callers."""
    address: str
    detail: str
    occurredAt: NotRequired[str]


class Wallet(TypedDict):
    """A trading wallet. Nothing secret is in it."""

    id: str
    tenant: str
    name: str
    """Unique among the active wallets of a tenant."""
    exchange: str
    """"okx" or "polymarket"."""
    environment: str
    """"live" or "demo"."""
    account: str
    """Of the account at the exchange: OKX's uid, Polymarket's address that holds cash and
    shares.
    """
    permissions: str
    """The permissions of the key, as the exchange says them."""
    signatureType: NotRequired[int]
    """Of Polymarket: how orders are signed. 0: by the address itself, 1: proxy, 2: Safe, 3:
    deposit wallet.
    """
    signerAddress: str
    """Of Polymarket: the address of the private key."""
    maxOrder: str
    """The most USDC that one order may be about, decimal. Of Polymarket a signature needs it."""
    state: str
    """Whether a wallet is in use.
    `WALLET_STATE_RETIRED`: Its credentials are erased; it stays readable.
    """
    edition: int
    """Of the credentials, from 1; rises when others take their place."""
    problem: str
    """Why the credentials do not work, as the exchange said at the last check; empty: they do."""
    checkedAt: NotRequired[str]
    createdAt: NotRequired[str]
    changedAt: NotRequired[str]
    heldBy: str
    """The process that may have requests of it signed now; empty: none."""


class WebhookDelivery(TypedDict):
    """One attempt to deliver a message."""

    eventId: str
    """Of the event; the same at each attempt, and the header webhook-id."""
    eventType: str
    sequence: str
    """Its number in the log; 0: a test."""
    attempt: int
    """From 1."""
    at: NotRequired[str]
    durationMs: int
    outcome: str
    """"delivered", "failed" (it is tried again), "given_up" or "gone"."""
    status: int
    """Of HTTP; 0: there was no answer."""
    answer: str
    """Why there was no answer, or the first kilobyte of it."""


class WebhookEndpoint(TypedDict):
    """An endpoint and where it stands."""

    id: str
    url: str
    types: list[str]
    """Types that it gets; empty: all."""
    description: str
    ordering: str
    """In which order an endpoint gets its events.
    `WEBHOOK_ORDERING_LOG`: That of the log: the next event leaves when the one before was
    taken.
    `WEBHOOK_ORDERING_NONE`: None: several are under way, and one that is not taken holds up
    few others. After eight attempts it is given up.
    """
    enabled: bool
    """Whether it gets events."""
    disabledReason: str
    """Why it does not; empty: it does, or a caller has said so."""
    secret: str
    """With which messages are signed, by the scheme of Standard Webhooks. Shown once, by the
    create or the rotation that has made it; empty otherwise.
    """
    deliveredTo: str
    """Every event up to this number is delivered, or was not wanted, or is tried again."""
    retrying: int
    """Events that were not taken yet and are tried again."""
    failingSince: NotRequired[str]
    """Since when no event was taken; absent: the last one was."""
    createdAt: NotRequired[str]
