"""Composition of confirm: stores and venues in, worker and servicer out."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from services.confirm import corrections, resolutions, store
from services.confirm.adoptions import Wallets
from services.confirm.balances import Balances
from services.confirm.booking_batcher import BookingBatcher
from services.confirm.bookings import load_bookings
from services.confirm.ledger import unknown
from services.confirm.order_monitor import OrderMonitor
from services.confirm.payouts import Payouts
from services.confirm.redemptions import Redemptions
from services.confirm.sealer import Sealer
from services.confirm.server import ConfirmServicer
from services.confirm.settings import Settings
from services.confirm.shortfalls import Shortfalls
from services.confirm.venue_gateway import VenueGateway
from services.confirm.worker import Confirm
from tradingtools.rpc import streams
from tradingtools.runtime import health
from tradingtools.runtime.backlog import Backlog
from tradingtools.runtime.books import Books
from tradingtools.runtime.composition import composed
from tradingtools.runtime.consumer import Consumer
from tradingtools.v1 import confirm_service_pb2 as pb
from tradingtools.v1 import confirm_service_pb2_grpc as rpc
from tradingtools.v1 import executor_service_pb2 as executor_pb
from tradingtools.v1 import executor_service_pb2_grpc as executor_rpc
from tradingtools.venues.insiders.order_gateway import open_client

SERVICE = "tradingtools.v1.ConfirmService"
NAME = "confirm-0"


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run confirm until ``stop``. One at a time: the lease of partition 0."""
    async with composed("confirm", settings) as parts:
        pool = await parts.pool(size=6, by_index=True, joined_by_keys=True)
        booking = await parts.pool(
            "booking", size=2, prompt=True, planned_once=True, joined_by_keys=True
        )
        client = await parts.stack.enter_async_context(
            open_client(settings.insiders_url, settings.insiders_token)
        )
        executor = executor_rpc.ExecutorServiceStub(parts.channel(settings.executor_target))
        owned = await parts.lease(pool)

        async def load(after: int, limit: int) -> list[tuple[int, pb.FillEvent]]:
            return await load_bookings(pool, after, limit)

        last = (await store.fetch(pool, "last_booking"))[0]["seq"]
        tail: streams.Tail[pb.FillEvent] = streams.Tail(last, load)
        books: Books | None = None
        if settings.bookfeed_target:
            books = Books(
                parts.channel(settings.bookfeed_target), timeout_ms=settings.venue_timeout_ms
            )
        smallest = unknown if books is None else books.smallest
        booker = BookingBatcher(booking, owned, tail, smallest)
        worker = Confirm(pool, booker, VenueGateway(client, settings.venue_timeout_ms), settings)
        servicer = ConfirmServicer(pool, tail)
        await parts.serve(
            settings.listen, [SERVICE], partial(rpc.add_ConfirmServiceServicer_to_server, servicer)
        )
        redemptions = Redemptions(
            pool,
            client,
            timeout_ms=settings.venue_timeout_ms,
            spacing_ms=settings.redeem_spacing_ms,
        )
        shortfalls = Shortfalls(
            pool,
            owned,
            booker.write,
            client,
            timeout_ms=settings.venue_timeout_ms,
            apart_ms=settings.shortfall_apart_ms,
        )
        booker.listen(shortfalls.booked)
        covered = shortfalls.covered if settings.shortfall_apart_ms else None
        payouts = Payouts(pool, owned, booker.write, covered)
        optional = []
        looks = {}
        if settings.balance_ms:
            balances = Balances(
                pool,
                client,
                timeout_ms=settings.venue_timeout_ms,
                every_ms=settings.balance_ms,
                spacing_ms=settings.balance_spacing_ms,
                behind=lambda: worker.behind,
                shortfalls=shortfalls,
            )
            optional.append(balances.run())
        if books is not None:
            optional.append(books.keep(payouts.on_books))
            looks[health.BOOKFEED] = health.known(partial(_speaks, books))
        events = Consumer(pool, "order_events", NAME, executor_pb.OrderEvent, worker.on_event)
        await parts.run(
            stop,
            events.replay(),
            worker.poll_due(),
            worker.tidy(),
            resolutions.run(pool, owned, booker.write),
            corrections.run(
                pool, owned, booker.write, Wallets(client, settings.venue_timeout_ms).positions
            ),
            shortfalls.run(),
            OrderMonitor(pool, worker, settings).run(),
            Sealer(pool, owned, settings.seal_ms / 1000).run(),
            payouts.run(),
            redemptions.run(),
            *optional,
            _follow_events(events, executor),
            looks=looks,
            backlog=Backlog("confirm", booker.waited_ms),
        )


def _speaks(books: Books) -> bool:
    return not books.silent


async def _follow_events(consumer: Consumer[executor_pb.OrderEvent], stub: Any) -> None:
    async def take(response: executor_pb.StreamOrderEventsResponse) -> bool:
        # All at the same time, so that they are booked together; those of one order in turn. A
        # crash after it books them again, by trade id, nothing.
        messages = [(event, str(event.event_seq)) for event in response.events]
        await consumer.take_all(messages, lambda event: event.order_key)
        return bool(response.events)

    await streams.follow(
        "order events",
        lambda c: stub.StreamOrderEvents(
            executor_pb.StreamOrderEventsRequest(cursor=c, consumer=NAME)
        ),
        "",
        take,
        acknowledge=(stub, NAME),
    )
