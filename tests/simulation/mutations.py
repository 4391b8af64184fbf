"""The engine with one protection removed: each must make some seed fail.

A mutation replaces a function of a service or the twin of a statement; everything else is as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final
from unittest import mock

import msgspec
from msgspec import structs

import services.router.worker as router_worker
from services.confirm.core import booking, operator_resolution, unknown_order_policy
from services.confirm.core.booking import Action
from services.confirm.core.unknown_order_policy import LookupResult, NextAction
from services.confirm.shortfalls import Shortfalls
from services.confirm.worker import Confirm
from services.executor import answers, promise_check
from services.executor import store as executor_store
from services.executor.core.pre_trade_limits import PreTradeLimits
from services.executor.core.promise import Promise
from services.perfmon import monitor as perfmon_monitor
from services.perfmon.core import judge as perfmon_judge
from services.perfmon.core import results as perfmon_results
from services.perfmon.core.position import Valuation
from services.router import recovery
from services.router.batch_claimer import BatchClaimer
from services.router.core import doubtful_book, exit_plan, exit_sizing, leader_filter
from services.router.core import entry_plan as planning
from services.router.core.caps import Exposure
from services.router.core.exit_plan import slice_ended
from services.router.core.ledger import Ledger
from services.router.core.state_updates import apply, revert
from tests.simulation.insiders import SimulatedClient
from tradingtools.domain import leader_trade
from tradingtools.domain.book import Book, BookStatus
from tradingtools.domain.leader_trade import LeaderRow, LeaderTrade, Source
from tradingtools.domain.order_states import RELEASING, OrderState
from tradingtools.runtime.consumer import Consumer
from tradingtools.testing.memory_database import (
    correcting,
    functions,
    guard,
    router,
    submitting,
)
from tradingtools.testing.memory_database.schema import Row
from tradingtools.testing.memory_database.transactions import Transaction
from tradingtools.venues.insiders import verdicts
from tradingtools.venues.insiders.order_gateway import Unanswered
from tradingtools.venues.polymarket import activity, trade_rows
from tradingtools.venues.ports import Meaning, Verdict


@dataclass(frozen=True, slots=True)
class Mutation:
    """A replacement: (object, attribute, replacement)."""

    patches: tuple[tuple[Any, str, Any], ...]
    breaks: str
    """How the name of an invariant begins that some seed finds broken."""
    seed: int = 0
    """One that did when this was written, to be tried first; 0: none is known."""


@contextmanager
def without(name: str) -> Iterator[None]:
    """Remove a protection; the empty name removes none."""
    patches = MUTATIONS[name].patches if name else ()
    before = [mock.patch.object(where, what, other) for where, what, other in patches]
    for patch in before:
        patch.start()
    try:
        yield
    finally:
        for patch in before:
            patch.stop()


def _let_it_live_from_its_claim_on(_traded_ms: int, _age_ms: int, now_ms: int, ttl_ms: int) -> int:
    return now_ms + ttl_ms


def _remember_nothing(_gate: PreTradeLimits, left: Iterable[Any]) -> None:
    list(left)


_classify = verdicts.classify


def _a_server_error_is_a_refusal(status: int, body: bytes, order_key: str) -> Verdict:
    if status >= 500:
        return Verdict(meaning=Meaning.REJECTED, code=f"HTTP_{status}")
    return _classify(status, body, order_key)


_submit = SimulatedClient.submit


async def _send_again_when_nobody_answers(client: SimulatedClient, *arguments: Any) -> Any:
    try:
        return await _submit(client, *arguments)
    except Unanswered:
        return await _submit(client, *arguments)


_denials = submitting.denials


def _look_at_no_halt(tx: Transaction, orders: list[Row]) -> dict[str, str]:
    forbidden = ("HALTED", "PAUSED", "SUBSCRIPTION_CHANGED")
    return {key: why for key, why in _denials(tx, orders).items() if why not in forbidden}


async def _acknowledge_at_once(consumer: Any, message: Any, _cursor: str) -> None:
    work = asyncio.ensure_future(consumer._handle(message))
    work.add_done_callback(lambda done: done.cancelled() or done.exception())


async def _forget_what_cannot_be_handled(*_arguments: Any) -> None:
    pass


_resolve = operator_resolution.resolve


def _resolve_without_booking(*arguments: Any) -> operator_resolution.ResolutionPlan:
    return replace(_resolve(*arguments), steps=())


_exposure = Ledger.exposure


def _forget_the_funding(ledger: Ledger, *arguments: Any, **more: Any) -> Exposure:
    return structs.replace(_exposure(ledger, *arguments, **more), budget_micros=None)


def _forget_the_market(ledger: Ledger, *arguments: Any, **more: Any) -> Exposure:
    return structs.replace(_exposure(ledger, *arguments, **more), market_micros=0)


_drafts = BatchClaimer._drafts


async def _judge_each_without_those_before(
    together: BatchClaimer, buys: Sequence[Any], should_yield: Any
) -> AsyncIterator[Any]:
    memory, drafts = together._state, []
    for one in buys:
        async for draft in _drafts(together, [one], should_yield):
            revert(memory, draft.applied)
            drafts.append(draft)
    for draft in drafts:
        apply(memory, draft.request.trade, draft.plan, draft.applied.now_ms)
        yield draft


_submit_batch = executor_store.submit_batch


async def _send_before_the_commit(pool: Any, *arguments: Any) -> executor_store.Admission:
    work = asyncio.ensure_future(_submit_batch(pool, *arguments))
    work.add_done_callback(lambda done: done.cancelled() or done.exception())
    return executor_store.Admission(seq=0)


_after_look = unknown_order_policy.after_lookup


def _one_not_found_is_a_loss(
    case: Any, poll: LookupResult, promised: Any, now_ms: int
) -> NextAction:
    if poll is LookupResult.NOT_FOUND:
        return NextAction.GIVE_UP
    return _after_look(case, poll, promised, now_ms)


_steps = booking.steps


def _undo_nothing(known: Mapping[str, Any], order: Any) -> list[Any]:
    return [step for step in _steps(known, order) if step.action is not Action.UNDO]


def _send_again_without_its_promise(case: Any, promised: Any, now_ms: int) -> bool:
    return bool(case.attempt < case.attempts and now_ms < case.not_after_ms)


async def _believe_it(_confirm: Confirm) -> bool:
    return True


def _go_by_the_wish(*_arguments: Any, **_by: Any) -> Promise:
    return Promise.HOLDS


def _anyone_holds_the_lease(*_arguments: Any) -> bool:
    return True


def _all_shares_are_free(_tx: Transaction, lot: Row) -> int:
    return int(lot["shares_micros"])


_merge = leader_trade.merge


def _count_what_was_counted(trade: LeaderTrade | None, row: LeaderRow) -> LeaderTrade | None:
    known = trade.rows.get((row.source, (row.price_text, row.size_micros))) if trade else None
    return _merge(trade, row if known is None else replace(row, count=row.count + known.count))


def _believe_the_feed_alone(trade: LeaderTrade | None, row: LeaderRow) -> LeaderTrade | None:
    polled = row.source is Source.CATCH_UP and row.action is leader_trade.Action.TRADE
    return None if polled else _merge(trade, row)


def _give_back_again_what_slices_left(copy: Any, slices: Any) -> Any:
    for one in (one for one in slices if one.ended):
        copy = slice_ended(
            copy, size_micros=one.size_micros, filled_micros=one.filled_size_micros,
            tried=one.tried, ended_ms=0,
        )  # fmt: skip
    return copy


def _nothing_is_promised(*_arguments: Any) -> int:
    return 0


def _old_names(kind: type[msgspec.Struct]) -> msgspec.json.Decoder[Any]:
    """A decoder that wants `asset`, as of November 2026, where the venue writes `token_id`."""
    fields = [
        (field.name, field.type, msgspec.field(name="asset"))
        if field.encode_name == "token_id"
        else (field.name, field.type)
        if field.required
        else (field.name, field.type, field.default)
        for field in msgspec.structs.fields(kind)
    ]
    return msgspec.json.Decoder(msgspec.defstruct("Old", fields, frozen=True, kw_only=True))


_size_exit = exit_sizing.size_exit


def _raise_what_is_too_small(*arguments: Any, **more: Any) -> Any:
    return _size_exit(*arguments, **more | {"whole": True})


def _keep_what_was_passed_on(copy: Any, _small_micros: int) -> Any:
    return copy


def _trust_every_book(*_arguments: Any) -> None:
    return None


def _trust_every_leader(*_arguments: Any) -> None:
    return None


async def _conclude_nothing(*_arguments: Any) -> None:
    pass


async def _believe_the_lots(shortfalls: Any, proxy: str, condition_id: str) -> Any:
    at_rest = await shortfalls.at_rest(proxy)
    return {
        (asset, lot.origin): lot.shares_micros
        for asset, held in at_rest.lots.items()
        for lot in held
        if lot.condition_id == condition_id
    }


def _nothing_is_under_way(*_arguments: Any) -> bool:
    return False


_worth = perfmon_results.worth


def _trust_every_mark(book: Book | None, shares_micros: int) -> Valuation:
    if book is not None:
        book = structs.replace(book, status=BookStatus.FRESH)
    return _worth(book, shares_micros)


def _one_look_is_enough(pending: Any, _confirm_ms: int) -> bool:
    return pending is not None


MUTATIONS: Final[dict[str, Mutation]] = {
    "a doubtful book stops nobody": Mutation(
        ((perfmon_monitor, "worth", _trust_every_mark),), "a doubtful book is no loss", seed=210
    ),
    "a performance rule acts after two looks": Mutation(
        ((perfmon_judge, "sure", _one_look_is_enough),), "a performance rule looks twice", seed=37
    ),
    "a 5xx says nothing": Mutation(
        ((answers, "classify", _a_server_error_is_a_refusal),), "I4", seed=14
    ),
    "who is not answered does not send again": Mutation(
        ((SimulatedClient, "submit", _send_again_when_nobody_answers),), "I1", seed=4
    ),
    "sent again only where one key is one order": Mutation(
        (
            (unknown_order_policy, "may_be_sent_again", _send_again_without_its_promise),
            (Confirm, "_one_key_is_one_order", _believe_it),
            (promise_check, "judge", _go_by_the_wish),
        ),
        "I1",
        seed=10,
    ),
    "the promise is asked for before the first byte": Mutation(
        ((promise_check, "judge", _go_by_the_wish),), "I1", seed=267
    ),
    "halts and pauses are looked at in the commit": Mutation(
        ((submitting, "denials", _look_at_no_halt),), "I8", seed=1
    ),
    "an entry's time counts from the leader's trade": Mutation(
        ((planning, "deadline_ms", _let_it_live_from_its_claim_on),), "I8 an entry ends", seed=16
    ),
    "the last gate counts what left before a restart": Mutation(
        ((PreTradeLimits, "remember", _remember_nothing),), "the last gate bounds", seed=21
    ),
    "acknowledged after the commit": Mutation(
        ((Consumer, "take", _acknowledge_at_once),), "I3", seed=6
    ),
    "what cannot be handled is set aside": Mutation(
        ((Consumer, "_quarantine", _forget_what_cannot_be_handled),), "I3", seed=26
    ),
    "what an operator tells is booked": Mutation(
        ((operator_resolution, "resolve", _resolve_without_booking),), "I4", seed=16
    ),
    "copies spend what their wallet was funded with": Mutation(
        ((Ledger, "exposure", _forget_the_funding),), "I12 a wallet", seed=4
    ),
    "copies count what the market has taken": Mutation(
        ((Ledger, "exposure", _forget_the_market),), "I12 a subscription", seed=23
    ),
    "buys of one moment see what those before take": Mutation(
        ((BatchClaimer, "_drafts", _judge_each_without_those_before),), "I12", seed=13
    ),
    "committed before the first byte": Mutation(
        ((executor_store, "submit_batch", _send_before_the_commit),), "I5", seed=4
    ),
    "a not-found is no verdict": Mutation(
        ((unknown_order_policy, "after_lookup", _one_not_found_is_a_loss),), "I4", seed=70
    ),
    "what failed to settle is undone": Mutation(
        ((booking, "steps", _undo_nothing),), "I9", seed=28
    ),
    "an UNKNOWN order keeps its reservation": Mutation(
        ((functions, "RELEASING", RELEASING | {OrderState.UNKNOWN}),), "I9", seed=2
    ),
    "only the owner of a lease writes": Mutation(
        (
            (functions, "holds_lease", _anyone_holds_the_lease),
            (submitting, "holds_lease", _anyone_holds_the_lease),
        ),
        "only the owner",
        seed=32,
    ),
    "rows of the Data API are read by the venue's names": Mutation(
        (
            (activity, "_ACTIVITY", _old_names(activity._Activity)),
            (trade_rows, "_DATA_TRADE", _old_names(trade_rows._DataTrade)),
        ),
        "I3",
        seed=1,
    ),
    "a row that was counted adds nothing": Mutation(
        ((router_worker, "merge", _count_what_was_counted),), "I12", seed=3
    ),
    "what only the Data API tells is copied": Mutation(
        ((router_worker, "merge", _believe_the_feed_alone),), "I3", seed=7
    ),
    "what a slice has left is sold again once": Mutation(
        ((recovery, "with_slices", _give_back_again_what_slices_left),), "I13", seed=13
    ),
    "what earlier sells have still to sell is not sold twice": Mutation(
        ((exit_plan, "_still_to_sell", _nothing_is_promised),), "I13 a lot", seed=13
    ),
    "what is too small to be sold is not raised": Mutation(
        ((exit_sizing, "size_exit", _raise_what_is_too_small),), "I13", seed=44
    ),
    "what is too small is sold along once": Mutation(
        ((exit_plan, "_passed_on", _keep_what_was_passed_on),), "I13", seed=13
    ),
    "a follower says which leaders he copies": Mutation(
        ((leader_filter, "objection", _trust_every_leader),), "I13", seed=2
    ),
    "a follower says what a doubtful book is good for": Mutation(
        ((doubtful_book, "objection", _trust_every_book),), "I12 a doubtful book", seed=2
    ),
    "what was sold by hand is found out": Mutation(
        ((Shortfalls, "_missing", _conclude_nothing),), "it comes to rest", seed=9
    ),
    "what was sold by hand is not paid out": Mutation(
        ((Shortfalls, "covered", _believe_the_lots),), "I9", seed=243
    ),
    "lots shrink while nothing is under way": Mutation(
        (
            (correcting, "_busy", _nothing_is_under_way),
            (Shortfalls, "_moved_since", _nothing_is_under_way),
        ),
        "I9 cash and shares",
        seed=136,
    ),
    "what another exit has reserved is not free": Mutation(
        (
            (guard, "free_shares", _all_shares_are_free),
            (router, "free_shares", _all_shares_are_free),
        ),
        "I11",
        seed=3,
    ),
}
"""By the protection that is missing."""
