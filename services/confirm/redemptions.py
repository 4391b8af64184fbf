"""Query insiders-api to redeem what was paid out, until it is done.

Before it: `payouts`, which has made each request durable with its key and bytes. The same request
may be sent again at any time: under its key it is answered as before, and without keys a second
one finds nothing left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import psycopg
import structlog
from opentelemetry import metrics

from services.confirm import store
from services.confirm.core import redemption_schedule
from services.confirm.queries import pipelined_rows
from services.confirm.write_set import move_balances
from tradingtools.domain.redemption_states import RedemptionState
from tradingtools.runtime import instruments
from tradingtools.storage.postgres.pipeline import pipelined
from tradingtools.storage.postgres.pool import Pool
from tradingtools.venues.insiders.order_gateway import InsidersClient, NotSent, Unanswered
from tradingtools.venues.insiders.redemptions import judge
from tradingtools.venues.ports import RedemptionAnswer, RedemptionVerdict

_log = structlog.get_logger("confirm.redemptions")
_meter = metrics.get_meter("tradingtools.confirm")
_pipeline = instruments.counter(
    "tradingtools.confirm",
    "redemption_requests",
    "by answer",
    instruments.each(answer=[answer.name for answer in RedemptionAnswer]),
)
_differs = instruments.counter(
    "tradingtools.confirm",
    "redemptions_differ",
    "paid otherwise than booked; a person has to look",
)
_PAUSE_SECONDS = 1.0


class Redemptions:
    """Redemptions until they are confirmed.

    Args:
        pool: of the deciding database.
        client: of insiders-api.
        timeout_ms: of one request.
        spacing_ms: between two requests.
    """

    def __init__(
        self, pool: Pool, client: InsidersClient, *, timeout_ms: int, spacing_ms: int
    ) -> None:
        self._pool = pool
        self._client = client
        self._timeout_ms = timeout_ms
        self._spacing = spacing_ms / 1000

    async def run(self) -> None:
        """Ask for what is due, for ever."""
        while True:
            await asyncio.sleep(_PAUSE_SECONDS)
            try:
                await self.poll()
            except psycopg.OperationalError as error:
                _log.warning("redemptions wait", error=str(error))

    async def poll(self) -> None:
        """Ask for what is due now; one that cannot be noted is asked again later, and holds no
        other up.

        Raises:
            psycopg.OperationalError: the database went away.
        """
        for row in await store.fetch(self._pool, "due_redemptions"):
            try:
                await self.request(row)
            except psycopg.OperationalError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is must not stop the others
                _log.error("a redemption cannot be noted; a person has to look", alert=True,
                           redemption=row["redeem_key"], exc_info=error)  # fmt: skip
                await self._put_off(row)
            await asyncio.sleep(self._spacing)

    async def _put_off(self, row: Mapping[str, Any]) -> None:
        stays = {name: row[name] for name in ("redeem_key", "state", "detail")}
        pause_ms = redemption_schedule.pause_ms(row["attempts"])
        values = {**stays, "before": row["state"], "paid_micros": None, "pause_ms": pause_ms}
        await store.execute(self._pool, "move_redemption", **values)

    async def request(self, row: Mapping[str, Any]) -> RedemptionState:
        """Send one request, and note the answer; return where it stands."""
        word = await self._word(row)
        _pipeline.add(1, {"answer": word.answer.name})
        before = RedemptionState(row["state"])
        state = redemption_schedule.follows(before, word.answer)
        await self._note(row, before, state, word)
        if state is not RedemptionState.CONFIRMED:
            _log.warning("not redeemed yet", redemption=row["redeem_key"], answer=word.answer.name,
                         detail=word.detail)  # fmt: skip
        elif _paid(word) != row["expected_micros"]:
            _differs.add(1)
            _log.error("redeemed otherwise than booked; a person has to look", alert=True,
                       redemption=row["redeem_key"], booked_micros=row["expected_micros"],
                       paid_micros=word.paid_micros, detail=word.detail)  # fmt: skip
        return state

    async def _note(
        self,
        row: Mapping[str, Any],
        before: RedemptionState,
        state: RedemptionState,
        word: RedemptionVerdict,
    ) -> None:
        values = {
            "redeem_key": row["redeem_key"],
            "before": before,
            "state": state,
            "paid_micros": word.paid_micros,
            "detail": word.detail,
            "pause_ms": redemption_schedule.pause_ms(row["attempts"]),
        }
        async with self._pool.connection() as connection, pipelined(connection) as pipeline:
            moved = await pipelined_rows(pipeline, "move_redemption", values)
            if moved and state is RedemptionState.CONFIRMED:
                move_balances(pipeline, {row["follower_proxy"]: _paid(word)})

    async def _word(self, row: Mapping[str, Any]) -> RedemptionVerdict:
        try:
            answer = await self._client.redeem(row["redeem_key"], row["body"], self._timeout_ms)
        except NotSent as error:
            return RedemptionVerdict(answer=RedemptionAnswer.NOT_SENT, detail=str(error))
        except Unanswered as error:
            return RedemptionVerdict(answer=RedemptionAnswer.NO_ANSWER, detail=str(error))
        return judge(
            answer.status,
            answer.body,
            redeem_key=row["redeem_key"],
            proxy=row["follower_proxy"],
            condition_id=row["condition_id"],
        )


def _paid(word: RedemptionVerdict) -> int:
    """Return the micros that came by it; none where nothing was left."""
    return word.paid_micros or 0
