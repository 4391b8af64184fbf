"""Performance rules in a seed: perfmon beside the others, control's internal port, and the judge.

Only some seeds have them, so that what the others do stays as it is. Kills of perfmon and of the
internal port are drawn apart. What is judged is what was committed: that a stop came of two looks
that nothing doubtful has made, once for each baseline, and that none is missing at rest.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from launcher.core.invariants import Breach
from services.control.performance import rules
from services.perfmon import app as perfmon_app
from services.perfmon.settings import Settings
from tradingtools.domain.errors import Conflict, NotFound, TradingError
from tradingtools.domain.money import MICROS
from tradingtools.domain.performance import LossAction, exit_id
from tradingtools.domain.trigger_states import EDITABLE
from tradingtools.rpc import transport
from tradingtools.testing.memory_database import functions
from tradingtools.testing.memory_database.functions import append_control_change
from tradingtools.testing.memory_database.schema import Row
from tradingtools.testing.memory_database.transactions import Change, Transaction, microseconds
from tradingtools.v1 import bookfeed_service_pb2 as books_pb
from tradingtools.v1 import control_internal_service_pb2 as pb
from tradingtools.v1 import control_internal_service_pb2_grpc as rpc
from tradingtools.v1 import control_service_pb2 as control_pb
from tradingtools.v1.error_reason_pb2 import ErrorReason

if TYPE_CHECKING:
    from tests.simulation.world import World

CONFIRM_MS = 300
_SEEDS = 0.15
_SINCE_US = 20_000_000
"""A look is not older than this: nobody is frozen for longer."""
_LIMITS_USDC = (1, 3, 6)


def rules_of(world: World, number: int) -> dict[str, Any]:
    """Return the performance rules of a seed's subscription; none in most seeds."""
    if not world.has_performance:
        return {}
    draw = world.rng(f"performance {number}")
    if draw.random() < 0.25:
        return {}
    limit = {"amount_micros": draw.choice(_LIMITS_USDC) * MICROS}
    return {"loss_stop": {"action": draw.choice(list(LossAction)[:2]), "total": limit}}


def draws(world: World) -> bool:
    """Return whether a seed has performance rules."""
    return world.rng("performance rules").random() < _SEEDS


class _Known(Exception):
    """An action was done before."""

    def __init__(self, row: Row) -> None:
        super().__init__()
        self.row = row


class Performance:
    """perfmon and the internal port of a seed.

    Args:
        world: where.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = world.rng("performance disasters")
        self._floors: dict[str, list[tuple[int, int]]] = {}
        """By subscription: instants (us), and what its result is at most worth from then on, if
        what nobody doubts is worth nothing."""
        self.breaches: list[Breach] = []
        world.database.watch(self._poll)

    def start(self) -> None:
        """Start both processes."""
        settings = Settings(
            listen="perfmon", confirm_target="confirm", bookfeed_target="bookfeed",
            control_target="inside", control_token="t" * 64, confirm_ms=CONFIRM_MS,
            doubt_seconds=3, poll_ms=500,
        )  # fmt: skip
        self._world.machine.start("inside", self._serve)
        self._world.machine.start("perfmon", lambda: perfmon_app.run(settings, asyncio.Event()))

    async def _serve(self) -> None:
        register = partial(rpc.add_ControlInternalServiceServicer_to_server, _Inside(self._world))
        async with transport.serving("inside", [], register):
            await asyncio.Event().wait()

    async def disasters(self, seconds: float) -> None:
        """Kill and freeze them, and resume what was stopped, for so long."""
        world, rng = self._world, self._rng
        until = world.loop.time() + seconds
        while world.loop.time() < until:
            await asyncio.sleep(2 * rng.random())
            what = rng.choice((self._kill, self._kill, self._take_over, self._resume))
            await what()

    async def _kill(self) -> None:
        name = self._rng.choice(("perfmon", "perfmon", "inside"))
        self._world.machine.kill(name, restart_seconds=self._rng.random())

    async def _take_over(self) -> None:
        machine = self._world.machine
        life = machine.freeze("perfmon")
        await asyncio.sleep(self._rng.random())
        machine.start("perfmon")
        await asyncio.sleep(2 * self._rng.random())
        machine.thaw(life)

    async def _resume(self) -> None:
        """A person resumes a subscription that a loss stop has paused."""
        table = self._world.database.table("subscription").values()
        stopped = [row for row in table if row["paused_by"] == rules.PERFORMANCE]
        if stopped:
            row = self._rng.choice(stopped)
            await self._world.control.update(
                row["id"], _take_back, state="ACTIVE", **rules.resumed(row)
            )

    def _poll(self, changes: list[Change]) -> None:
        for table, _, after in changes:
            if table == "lot" and after is not None and after["origin"] != "manual":
                self._note_floor(after["origin"])
        for table, before, after in changes:
            if table == "performance_action" and before is None and after is not None:
                self._judge_action(after)

    def doubts_end(self) -> None:
        """Note that books are trusted, or have a payout in their place, from now on."""
        for subscription in list(self._floors):
            self._note_floor(subscription)

    def _note_floor(self, subscription: str) -> None:
        lots = [
            row
            for row in self._world.database.table("lot").values()
            if row["origin"] == subscription
        ]
        least = sum(row["realised_micros"] - row["fee_micros"] - row["cost_micros"] for row in lots)
        market = self._world.market
        doubtful = market.doubtful - market.payouts.keys()
        # A doubt that lasts: nobody has seen a book, so that they stand at their cost.
        least += sum(
            min(row["shares_micros"], row["cost_micros"])
            for row in lots
            if row["asset_id"] in doubtful
        )
        now_us = microseconds(self._world.database.now())
        self._floors.setdefault(subscription, [(0, 0)]).append((now_us, least))

    def _judge_action(self, action: Row) -> None:
        points = action["evidence"]["points"]
        span = int(points[-1]["at_ms"]) - int(points[0]["at_ms"])
        name = action["subscription_id"]
        if len(points) < 2 or span < CONFIRM_MS:
            self._breach("a performance rule looks twice", f"{name} after {span} ms")
        since = microseconds(self._world.database.now()) - _SINCE_US
        floors = self._floors.get(name, [(0, 0)])
        recent = [least for at, least in floors if at >= since]
        # What stood when that time began counts, too.
        recent.append(next((least for at, least in reversed(floors) if at < since), 0))
        if int(points[-1]["high_micros"]) < min(recent):
            text = f"{name} at {points[-1]['high_micros']}, at least {min(recent)}"
            self._breach("a doubtful book is no loss", text)

    def _breach(self, invariant: str, text: str) -> None:
        self._world.history.add(f"breach: {invariant}: {text}")
        self.breaches.append(Breach(invariant, text))

    def judged(self) -> list[Breach]:
        """Return all that does not hold once nothing goes on any more."""
        return [*self.breaches, *self._twice(), *self._missing()]

    def _twice(self) -> list[Breach]:
        found = []
        database = self._world.database
        for row in database.table("subscription").values():
            every = [
                one
                for one in database.table("performance_action").values()
                if one["subscription_id"] == row["id"]
            ]
            baselines = [one["baseline"] for one in every if one["kind"] == "STOP"]
            if len(set(baselines)) < len(baselines) or len(every) != row["performance_actions"]:
                text = f"{row['id']} has had {row['performance_actions']}: {every}"
                found.append(Breach("a performance rule acts once", text))
        return found

    def _missing(self) -> list[Breach]:
        found = []
        for name, kept in self._world.database.table("performance").items():
            row = self._world.database.table("subscription")[name]
            if not row["performance"] or row["paused_by"] == rules.PERFORMANCE:
                continue
            if row["state"] == "DELETED" or kept["standing"]["baseline"] != row["baseline"]:
                continue
            started = kept["standing"]["total_at"]["result_micros"]
            limit = row["performance"]["loss_stop"]["total"]["amount_micros"]
            result = self._result(row["id"])
            if result <= started - limit:
                text = f"{row['id']} has {result}, began at {started}, may lose {limit}"
                found.append(Breach("a loss stops", text))
        return found

    def _result(self, subscription: str) -> int:
        found = 0
        for row in self._world.database.table("lot").values():
            if row["origin"] == subscription:
                found += row["realised_micros"] - row["fee_micros"] - row["cost_micros"]
                found += self._worth(row["asset_id"], row["shares_micros"])
        return found + self._gone(subscription)

    def _gone(self, subscription: str) -> int:
        """Return what shares that were sold by hand were worth at most: a dollar each.

        The ledger books nothing for them, and they are no loss of the subscription.
        """
        return sum(
            row["size_micros"]
            for row in self._world.database.table("lot_correction").values()
            if row["origin"] == subscription and row["reason"] == "SOLD_ELSEWHERE"
        )

    def _worth(self, asset: str, shares: int) -> int:
        """At most, as deep books pay."""
        mark = self._world.market.mark(asset)
        if mark.market.HasField("payout_micros"):
            return shares * mark.market.payout_micros // MICROS
        if mark.status != books_pb.BOOK_STATUS_FRESH:
            return shares
        _, bids, _ = self._world.market.books[asset]
        product, left, worst = 0, shares, 0
        for price, size in bids:
            taken = min(size, left)
            product, left, worst = product + taken * price, left - taken, price
        return -(-(product + left * worst) // MICROS)


class _Inside(rpc.ControlInternalServiceServicer):
    """Control's internal port: its rules, on the memory database."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def Fund(self, request: pb.FundRequest, context: Any) -> Any:
        """Money is moved by the workload itself."""
        raise NotImplementedError

    async def PerfAction(self, request: pb.PerfActionRequest, context: Any) -> Any:
        """Perfmon asks for several at once."""
        raise NotImplementedError

    async def PerfActions(self, request: pb.PerfActionsRequest, context: Any) -> Any:
        """Do what control does, under its lock."""
        return pb.PerfActionsResponse(results=[await self._act(one) for one in request.actions])

    async def _act(self, request: pb.PerfActionRequest) -> pb.PerfActionResult:
        action = _action(request)
        try:
            await self._world.control.change(partial(_act, action, request))
        except _Known as known:
            return pb.PerfActionResult(done=pb.PerfActionResponse(exits=known.row["exits"]))
        except TradingError as error:
            reason = ErrorReason.Value(f"ERROR_REASON_{error.reason}")
            refused = pb.PerfActionRefusal(reason=reason, message=error.message)
            return pb.PerfActionResult(refused=refused)
        if action.stop is not None:
            self._world.control.forbid_entries(action.subscription_id)
        return pb.PerfActionResult(done=pb.PerfActionResponse())


def _action(request: pb.PerfActionRequest) -> rules.Action:
    stop = LossAction(control_pb.LossAction.Name(request.stop).removeprefix("LOSS_ACTION_"))
    evidence = json_format.MessageToDict(
        request.evidence,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )
    return rules.Action(
        id=request.action_id, subscription_id=request.id, version=request.version,
        ordinal=request.ordinal, stop=stop, scale_micros=0, anchor_micros=request.anchor_micros,
        evidence=evidence,
    )  # fmt: skip


def _act(
    action: rules.Action, request: pb.PerfActionRequest, tx: Transaction
) -> tuple[str, str, str]:
    # As control: nothing is looked at before its lock.
    tx.lock(functions.CONTROL_LOCK)
    known = tx.get("performance_action", action.id)
    if known is not None:
        raise _Known(known)
    if not functions.holds_lease(tx, "perfmon", request.partition, request.epoch):
        raise Conflict("another perfmon has taken over", kind="lease", id="0")
    row = tx.get("subscription", action.subscription_id)
    if row is None:
        raise NotFound("no such subscription", kind="subscription", id=action.subscription_id)
    tx.lock_row("subscription", row)
    columns = rules.changed(row, action, "a loss")
    tx.update("subscription", row, **columns, performance_actions=row["performance_actions"] + 1)
    exits = _sell(tx, row, action.id) if action.stop is LossAction.PAUSE_AND_EXIT else []
    tx.insert(
        "performance_action",
        {
            "action_id": action.id, "subscription_id": row["id"], "ordinal": action.ordinal,
            "baseline": row["baseline"], "kind": "STOP", "loss_action": action.stop,
            "scale_micros": row["scale_micros"], "anchor_micros": action.anchor_micros,
            "evidence": dict(action.evidence), "exits": exits, "control_seq": 0,
        },
    )  # fmt: skip
    return "performance action", "subscription", row["id"]


def _take_back(tx: Transaction, row: Row) -> None:
    """Cancel the exits of a loss stop that have not fired, as control does."""
    # As control: nothing is looked at before its lock.
    tx.lock(functions.CONTROL_LOCK)
    for trigger in tx.where("trigger", origin=row["id"]):
        if trigger["exit_of"] and trigger["status"] in EDITABLE:
            tx.lock_row("trigger", trigger)
            tx.update("trigger", trigger, status="CANCELLED", version=trigger["version"] + 1)
            append_control_change(tx, "user", "product", "delete", "trigger", trigger["id"], {})


def _sell(tx: Transaction, row: Row, action: str) -> list[str]:
    """Have all sold that a subscription holds, and is getting; returns the triggers."""
    held = {
        lot["asset_id"]: (lot["condition_id"], "ARMED")
        for lot in tx.rows("lot")
        if lot["origin"] == row["id"] and lot["shares_micros"] > 0
    }
    for one in tx.where("reservation", released_at=None):
        order = tx.get("orders", one["order_key"]) or {}
        if order.get("subscription_id") == row["id"] and order["purpose"] == "ENTRY":
            held.setdefault(one["asset_id"], (one["condition_id"], "WAITING"))
    made = []
    for asset, (condition, status) in sorted(held.items()):
        name = exit_id(action, asset)
        tx.insert(
            "trigger",
            {
                "id": name, "follower_proxy": row["follower_proxy"], "condition_id": condition,
                "asset_id": asset, "origin": row["id"], "trigger_type": "TIME_STOP",
                "status": status, "fire_at_ms": microseconds(tx.now) // 1000, "exit_of": action,
            },
        )  # fmt: skip
        append_control_change(tx, "perfmon", "grpc", "create", "trigger", name, {})
        made.append(name)
    return made
