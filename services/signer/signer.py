"""Answer engines: rate, rules, audit, and then the signature."""

from __future__ import annotations

import psycopg
import psycopg_pool
import structlog

from services.signer.audit import Audit
from services.signer.core import rates
from services.signer.keyring import Keyring, not_held
from services.signer.master_keys import Unwrappable
from services.signer.store import Entry
from tradingtools import clock
from tradingtools.domain.errors import LimitReached, Unavailable
from tradingtools.domain.signing import Answer, OfEngine
from tradingtools.runtime import instruments

KINDS = (
    "okx.rest", "okx.login", "clob.auth", "clob.request", "clob.order", "relayer.calls",
    "travelling",
)  # fmt: skip
_signed = instruments.counter(
    "tradingtools.signer", "signer.signatures", "signatures that left, by kind",
    instruments.each(kind=KINDS),
)  # fmt: skip
_log = structlog.get_logger("signer")
_MAX_BUCKETS = 20_000


class Peer:
    """The process at the other end of a connection.

    Args:
        process: by its engine token, its partition included.
        pid: as the kernel told it.
        uid: the same.
    """

    def __init__(self, process: str, pid: int, uid: int) -> None:
        self.process = process
        self.pid = pid
        self.uid = uid


class Signer:
    """Signs for engines.

    Args:
        keyring: opens wallets.
        audit: judges and writes down.
        rate: signatures a second for each wallet and engine.
        burst: signatures at once.
    """

    def __init__(self, keyring: Keyring, audit: Audit, rate: int, burst: int) -> None:
        self._keyring = keyring
        self._audit = audit
        self._rate = rate
        self._burst = burst
        self._buckets: dict[tuple[str, str], rates.Bucket] = {}

    async def answer(self, ask: OfEngine, peer: Peer) -> Answer:
        """Return a signature, which is written down by then.

        Raises:
            LimitReached, NotAllowed, InvalidField: it is refused.
            Unavailable: nothing can be written.
        """
        self._take(ask.wallet, peer.process)
        try:
            return await self._sign(ask, peer)
        except Unwrappable:
            _log.error(
                "credentials do not open; nothing is signed with them", alert=True, of=ask.wallet
            )
            raise
        except OSError as error:
            _log.error("the spool of signatures cannot be written", why=str(error))
            raise Unavailable(
                "the signer cannot write down what it signs",
                dependency="disk", retry_after_ms="1000",
            ) from None  # fmt: skip
        except (psycopg.OperationalError, psycopg_pool.PoolTimeout):
            raise Unavailable(
                "the signer cannot write down what it signs",
                dependency="postgresql", retry_after_ms="1000",
            ) from None  # fmt: skip

    async def _sign(self, ask: OfEngine, peer: Peer) -> Answer:
        kind = str(ask.__struct_config__.tag)
        edition = -1
        while True:
            was = edition
            edition, keys = await self._keyring.get(ask.wallet)
            if edition == was:
                raise not_held()
            prepared = keys.prepare(ask, clock.now_ms())
            entry = Entry(
                wallet=ask.wallet, edition=edition, kind=kind, summary=prepared.summary,
                digest=prepared.digest, engine=peer.process, epoch=ask.epoch, pid=peer.pid,
                uid=peer.uid, opens_nothing=prepared.opens_nothing,
            )  # fmt: skip
            if await self._audit.write(entry):
                answer = prepared.answer()
                _signed.add(1, {"kind": kind})
                return answer
            # Not held, or another edition has taken its place: only the latter is asked again.
            self._keyring.forget(ask.wallet)

    def _take(self, wallet: str, engine: str) -> None:
        """Take from a bucket of wallet and engine: a stranger empties nobody else's."""
        now_ns = clock.monotonic_ns()
        key = engine, wallet
        if len(self._buckets) > _MAX_BUCKETS:
            # Nobody has so many wallets; who made the names up starts full again at most.
            self._buckets.clear()
        bucket = self._buckets.get(key) or rates.full(self._burst, now_ns)
        self._buckets[key], may = rates.take(bucket, self._rate, self._burst, now_ns)
        if not may:
            raise LimitReached(
                "the wallet gets no more signatures now",
                retry_after_ms=str(max(1, 1000 // self._rate)),
            )
