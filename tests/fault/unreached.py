"""Reasons why kill-lines never comes to some steps: a table that the tool and a test keep honest.

Before it: `steps.py`, every step there is. After it: `kill_lines.py`, which names what was never
reached and is not here, and what is here and was reached after all: a reason that is not true. Only
steps that need two things within the same few milliseconds may be reached by chance. A step that is
not here and was not reached in some run is one that the run was too short for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from tests.fault.entries import Entry, contradictions
from tests.fault.steps import Step

_ROUTER, _EXECUTOR = "services/router", "services/executor"
_CONFIRM, _GUARD = "services/confirm", "services/guard"
_BATCHER = f"{_CONFIRM}/booking_batcher.py"
_GATEWAY = f"{_CONFIRM}/venue_gateway.py"
_MONITOR = f"{_CONFIRM}/order_monitor.py"
_COMPACTION = f"{_GUARD}/compaction.py"
_EVALUATION = f"{_GUARD}/evaluation.py"
_CACHE = f"{_GUARD}/trigger_cache.py"
_EXITS = f"{_GUARD}/exit_lifecycle.py"
_MARKS = f"{_GUARD}/high_water_marks.py"
_TRAILING = f"{_GUARD}/trailing.py"
_WRITER = f"{_GUARD}/trigger_transactions.py"
_CLIENT = "tradingtools/venues/insiders/order_gateway.py"
MISTAKE = "only a mistake of the engine's own raises it"
_ENDS = "an executor ends here by kill -9 alone"
_METRICS = "metrics are read where an exporter is configured, which is not here; nothing is written"
_READS = "asked before the killing begins, by a new subscription; reads only"
_LOGGED = "only a mistake of the engine's own leads to it; what it does is to say so"
_AWAY = "only when the database goes away within this call"
_LOST = "only when the acknowledgement of a commit is lost: tests/unit/router/test_restarts.py"
_WISHED = "only when an exit is to be sent again before the breaker has closed: tests/money_path"
_RACE = "only when two of the engine's own tasks meet within a statement"
_APPEARED = "no order appears here after its end: tests/confirm/test_ends.py"
_ALONE = "only when an order of a batch cannot be booked: tests/confirm/test_batches.py"
_BY_HAND = "nobody here holds shares that were bought by hand: tests/control"
_CLOCK = "no clock is wrong here: tests/fault/test_clocks.py"
_UNTOLD = (
    "only when a wallet is not reported as its market resolves: tests/confirm/test_shortfalls.py"
)
_ENDED_START = "nobody deletes a subscription here, and a start waits for five minutes"
_FIRST = "once in the life of a database, before the killing begins"
_FENCED = "only when an acceptance comes later than its order's lease: tests/money_path"
_OPERATOR = "operators here say what insiders-api has: tests/confirm/test_resolutions.py"
_PAID = "only when a lot is paid out before the guard has seen that its market resolved"
_MUTE = "only when insiders-api refuses or garbles this very answer: tests/unit/confirm"
_SINGLY = "the database refuses no record or outcome here: tests/money_path/test_set_aside.py"
_STUCK = "every trigger here can be changed: tests/unit/guard/test_settling.py"
_LOST_PEAKS = (
    "only when the answer to a record of peaks is lost: tests/integration/test_high_water_marks.py"
)
_HELD = "only when a row is refused, or locked for long: tests/integration/test_high_water_marks.py"
_OTHERWISE = (
    "only when a trigger changes as its peak rises: tests/integration/test_high_water_marks.py"
)
_PARTED = "there is one partition here: tests/unit/guard/test_settling.py"
_GATE = "the last gate has no limits here: tests/money_path/test_gate_halts.py"
_FULL = "a bound of memory that this workload is far from"
_CROWD = "nobody here has so many followers: tests/unit/router/test_claim_scheduler.py"
_MANY = "only when a claim of many orders is sent while others wait"
_SLOW = "only when an answer takes longer than an entry may wait behind it"
_YOUNG = "no trade here is hours old: tests/unit/router/test_repeated_reports.py"
_PAPER = "nobody here copies on paper or saves up: tests/unit/router"
_REFUSED = "only when a router dies around such a refusal: tests/unit/router/test_reevaluation.py"
_ANEW = "only when a position begins while the sale of the last settles: tests/confirm"
_DIVIDED = "nobody changes the number of partitions here: tests/integration/test_partitioning.py"

UNREACHED = (
    Entry(f"{_ROUTER}/app.py", "_follow_ingest", "ingest's log is never another one", "cursor"),
    Entry(f"{_ROUTER}/recovery.py", "_recover_sums", _PAPER, "ledger.accrue"),
    Entry(f"{_ROUTER}/recovery.py", "_recover_sums", _PAPER, "owner ="),
    Entry(f"{_ROUTER}/recovery.py", "_recover_sums", _PAPER, "moved ="),
    Entry(f"{_ROUTER}/recovery.py", "_recover_sums", _PAPER, "state.move_paper"),
    Entry(f"{_ROUTER}/server.py", "RouterServicer.PreviewRoute", _READS),
    Entry(f"{_ROUTER}/worker.py", "Router.preview", _READS),
    Entry(f"{_EXECUTOR}/breaker.py", "_observe", _METRICS),
    Entry(f"{_EXECUTOR}/recorder.py", "Recorder._store_singly", _SINGLY),
    Entry(f"{_EXECUTOR}/recorder.py", "Recorder._store", _SINGLY, "return await self"),
    Entry(f"{_EXECUTOR}/sender.py", "Sender._give_up", MISTAKE),
    Entry(f"{_EXECUTOR}/sender.py", "Sender._on_task_done", MISTAKE, "self._give_up"),
    Entry(f"{_EXECUTOR}/sender.py", "Sender._send_first_bytes", MISTAKE, "self._give_up"),
    Entry(f"{_EXECUTOR}/sender.py", "Sender._send_first_bytes", MISTAKE,
          "asyncio.get_running_loop"),
    Entry(f"{_EXECUTOR}/sender.py", "Sender._send_first_bytes", MISTAKE, "return"),
    Entry(f"{_EXECUTOR}/sender.py", "Sender._on_task_done", _ENDS, "return", "if task.cancelled"),
    Entry(f"{_EXECUTOR}/sender.py", "Sender._on_answer", _ENDS, "return", "if sent.cancelled"),
    Entry(f"{_EXECUTOR}/sender.py", "Sender._process_answers", MISTAKE, "self._give_up"),
    Entry(f"{_EXECUTOR}/sender.py", "Sender._process_answers",
          "only when many answers come at once",
          "asyncio.get_running_loop", chance=True),
    Entry(f"{_EXECUTOR}/store.py", "build_or_quarantine", _SINGLY),
    Entry(f"{_EXECUTOR}/store.py", "halt", _GATE),
    Entry(f"{_EXECUTOR}/send_queue.py", "SendQueue._forget", _FULL, "self._seen.popitem"),
    Entry(f"{_EXECUTOR}/worker.py", "Executor._within_limits", _GATE, "orders = await"),
    Entry(f"{_EXECUTOR}/worker.py", "Executor._within_limits", _GATE, "self._limits.release"),
    Entry(f"{_EXECUTOR}/worker.py", "Executor._without_held_back", _GATE),
    Entry(f"{_EXECUTOR}/worker.py", "Executor._halt", _GATE, "if await"),
    Entry(f"{_EXECUTOR}/worker.py", "Executor._halt", _GATE, "_halts.add"),
    Entry(f"{_EXECUTOR}/worker.py", "Executor._halt", _GATE, "_log.error"),
    Entry(_CLIENT, "InsidersClient.__init__", "insiders-api wants no token", "self._common +="),
    Entry(f"{_CONFIRM}/alerts.py", "_observe", _METRICS),
    Entry(f"{_CONFIRM}/alerts.py", "_orders", _METRICS),
    Entry(f"{_CONFIRM}/alerts.py", "_ages", _METRICS),
    Entry(f"{_CONFIRM}/payouts.py", "Payouts.on_books", _FULL, "self._payouts.popitem"),
    Entry(f"{_CONFIRM}/sealer.py", "Sealer._observe", _METRICS),
    Entry(f"{_ROUTER}/claimer.py", "Claimer._claim_entries",
          "a buy is judged only when a row is new, which is durable", "return", "if claimed is"),
    Entry(f"{_ROUTER}/claimer.py", "Claimer._claim_entries", _LOST, "return", "if request.stale",
          chance=True),
    Entry(f"{_ROUTER}/claimer.py", "Claimer._again", _LOST, "return {}", "if before is", True),
    Entry(f"{_ROUTER}/recovery.py", "_recover_sums", _PAPER,
          'ledger.spent(row["subscription_id"], row["day"], row["cost_micros"])'),
    Entry(f"{_ROUTER}/recovery.py", "_recover_sums", _PAPER,
          'ledger.bought(row["subscription_id"], row["asset_id"], row["leader_tx"]'),
    Entry(f"{_ROUTER}/recovery.py", "_recover_sums", _PAPER, "if owner is not None"),
    Entry(f"{_ROUTER}/open_exits.py", "OpenExits._judge_again",
          "only when another router takes over while an exit is judged", "raise", chance=True),
    Entry(f"{_ROUTER}/open_exits.py", "OpenExits._judge_again", _LOGGED, "_log.error"),
    Entry(f"{_ROUTER}/open_exits.py", "OpenExits._judge_again", _LOGGED, "self._wait"),
    Entry(f"{_ROUTER}/resyncing.py", "Resyncs.poll", _AWAY, "raise", chance=True),
    Entry(f"{_ROUTER}/resyncing.py", "Resyncs.poll", _LOGGED, "_log.error"),
    Entry(f"{_ROUTER}/resyncing.py", "Resyncs.poll", _LOGGED, "await self._end"),
    Entry(f"{_ROUTER}/resyncing.py", "Resyncs._preview", "who asks has a subscription", "return",
          "if subscription is None"),
    Entry(f"{_ROUTER}/resyncing.py", "Resyncs._execute", "who asks has a subscription", "return",
          "if subscription is None"),
    Entry(f"{_ROUTER}/resyncing.py", "Resyncs._preview", _ENDED_START,
          'await self._end(row["id"]'),
    Entry(f"{_ROUTER}/resyncing.py", "Resyncs._preview", _ENDED_START, "return",
          'await self._end(row["id"]'),
    Entry(f"{_ROUTER}/resyncing.py", "Resyncs._end", _ENDED_START),
    Entry(f"{_ROUTER}/resyncing.py", "Resyncs._execute", _AWAY, "await self._catch_up",
          chance=True),
    Entry(f"{_ROUTER}/resyncing.py", "Resyncs._execute", _AWAY, "raise", chance=True),
    Entry(f"{_ROUTER}/store.py", "copies_of", _YOUNG),
    Entry(f"{_ROUTER}/recovery.py", "restore", _YOUNG),
    Entry(f"{_ROUTER}/bookings.py", "Bookings.on_fill", _APPEARED, "async with self._claim_lock",
          "# What it has sold"),
    Entry(f"{_ROUTER}/bookings.py", "Bookings.on_fill", _APPEARED, "await self._catch_up"),
    Entry(f"{_ROUTER}/partitioning.py", "check_partitioning", _DIVIDED, "raise Startup"),
    Entry(f"{_ROUTER}/worker.py", "Router._restore", _YOUNG, "await self._restore_forgotten"),
    Entry(f"{_ROUTER}/worker.py", "Router._restore_forgotten", _YOUNG, chance=True),
    Entry(f"{_ROUTER}/reevaluation.py", "Reevaluator.recover", _REFUSED, chance=True),
    Entry(f"{_ROUTER}/reevaluation.py", "Reevaluator.reevaluate", _REFUSED, "return",
          "if order is None", True),
    Entry(f"{_ROUTER}/reevaluation.py", "Reevaluator.reevaluate", _PARTED, "return",
          "if self._state.index"),
    Entry(f"{_ROUTER}/reevaluation.py", "Reevaluator.reevaluate", _REFUSED, "await self._restore",
          chance=True),
    Entry(f"{_ROUTER}/reevaluation.py", "Reevaluator.poll", _REFUSED, chance=True),
    Entry(f"{_ROUTER}/store.py", "stale_entry", "who asks was told so of its row", "return None"),
    Entry(f"{_ROUTER}/worker.py", "Router.on_message", _LOGGED, "failed.extend"),
    Entry(f"{_ROUTER}/worker.py", "Router._on_facts", _LOGGED, "failed.append"),
    Entry(f"{_ROUTER}/worker.py", "Router._on_facts", _LOGGED, "raise ExceptionGroup"),
    Entry(f"{_ROUTER}/worker.py", "Router._route", "every leader here has followers", "return",
          "if not followers"),
    *(
        Entry(f"{_ROUTER}/claim_writer.py", "ClaimWriter._claim", _LOST, statement, below, True)
        for statement, below in (
            ('_log.warning("claimed before', ""), ("await self.know_what_is_durable", ""),
            ("break", "await self.know_what_is_durable"),
        )
    ),
    *(
        Entry(f"{_ROUTER}/claim_scheduler.py", "PartProgress.chunks", _CROWD, statement)
        for statement in ("await asyncio.sleep", "if not self._decided", "break")
    ),
    Entry(f"{_ROUTER}/claim_scheduler.py", "PartProgress._end", _CROWD),
    Entry(f"{_ROUTER}/claimer.py", "Claimer._claim_entries", _CROWD, "return",
          "if not progress.part"),
    Entry("tradingtools/storage/postgres/journal.py", "insert_claim", _LOST, "raise ClaimedBefore",
          chance=True),
    Entry("tradingtools/storage/postgres/lease.py", "agree", _CLOCK, "_log.warning"),
    Entry("tradingtools/runtime/cursors.py", "Cursors.acknowledge", _LOGGED, "raise InvalidField"),
    Entry(f"{_EXECUTOR}/breaker.py", "CircuitBreaker.read", _FIRST, "await store.execute"),
    Entry(f"{_EXECUTOR}/breaker.py", "CircuitBreaker.pause", _RACE, chance=True),
    Entry(f"{_EXECUTOR}/breaker.py", "CircuitBreaker.give_back", _RACE, chance=True),
    Entry(f"{_EXECUTOR}/breaker.py", "CircuitBreaker._move", _AWAY, '_log.warning("the breaker',
          chance=True),
    Entry(f"{_EXECUTOR}/breaker.py", "CircuitBreaker._move", _AWAY, "return False", chance=True),
    Entry(f"{_EXECUTOR}/breaker.py", "CircuitBreaker._move", _RACE, "await self.read", chance=True),
    Entry(f"{_EXECUTOR}/breaker.py", "CircuitBreaker._take", _RACE, "return", "if before is",
          True),
    Entry(f"{_EXECUTOR}/breaker.py", "CircuitBreaker.reason", _RACE, chance=True),
    Entry(f"{_EXECUTOR}/recorder.py", "Recorder._store", _SINGLY, "_log.error"),
    Entry(f"{_EXECUTOR}/resender.py", "Resender._send", _RACE, "return False", chance=True),
    Entry(f"{_EXECUTOR}/resender.py", "Resender.run", _WISHED, "await self._probe", chance=True),
    Entry(f"{_EXECUTOR}/resender.py", "Resender._probe", _WISHED, chance=True),
    *(
        Entry(f"{_EXECUTOR}/slow_path.py", "SlowPath._return_probe", _RACE, statement, chance=True)
        for statement in ("self._in_background", "permit.probe = 0")
    ),
    Entry(f"{_EXECUTOR}/slow_path.py", "SlowPath._probe_if_allowed", _RACE, chance=True),
    Entry(f"{_EXECUTOR}/slow_path.py", "SlowPath._on_reported", _LOGGED, "_log.error"),
    Entry(f"{_EXECUTOR}/sender.py", "Sender._expire", _SLOW, chance=True),
    Entry(f"{_EXECUTOR}/slow_path.py", "SlowPath._exchange", _RACE, "raise Withheld", chance=True),
    Entry(f"{_EXECUTOR}/pre_send_check.py", "Withheld.__init__", _RACE, chance=True),
    Entry(f"{_EXECUTOR}/pre_send_check.py", "PreSendCheck.recheck", _RACE,
          "raise Withheld", "if held", True),
    Entry(f"{_EXECUTOR}/pre_send_check.py", "PreSendCheck.recheck", _AWAY,
          "raise _unverifiable", chance=True),
    Entry(f"{_EXECUTOR}/pre_send_check.py", "_unverifiable", _AWAY, chance=True),
    Entry(f"{_EXECUTOR}/store.py", "submit_again", _RACE, "raise Fenced", chance=True),
    Entry(f"{_EXECUTOR}/store.py", "submit_again", _RACE, '_log.info("not sent', chance=True),
    Entry(f"{_EXECUTOR}/store.py", "submit_again", _RACE, "return None", chance=True),
    *(
        Entry(f"{_EXECUTOR}/store.py", "_note_late", _FENCED, statement, chance=True)
        for statement in ("cursor =", "for row in", "_late.add", "_log.error")
    ),
    Entry(f"{_EXECUTOR}/send_queue.py", "SendQueue._put", _FULL, "claim.handled"),
    Entry(f"{_EXECUTOR}/send_queue.py", "SendQueue._put", _FULL, "return"),
    Entry(f"{_EXECUTOR}/sender.py", "Sender._send_rest", _MANY, chance=True),
    Entry(f"{_EXECUTOR}/sender.py", "Sender._send_ready", _MANY, "return", "if self._should_yield",
          True),
    Entry(f"{_EXECUTOR}/sender.py", "Sender.send", _MANY, "asyncio.get_running_loop", chance=True),
    Entry(f"{_EXECUTOR}/worker.py", "Executor._handle", _RACE, "await self.breaker", chance=True),
    Entry(f"{_EXECUTOR}/worker.py", "Executor._send", _RACE, '_log.warning("batch', chance=True),
    Entry(f"{_EXECUTOR}/worker.py", "Executor._send", _RACE, "self.queue.done",
          '_log.warning("batch', True),
    Entry(f"{_EXECUTOR}/worker.py", "Executor._send", _RACE, "return False", "self.queue.done",
          True),
    Entry(f"{_CONFIRM}/balances.py", "Balances._keep", _RACE, "return False", chance=True),
    Entry(_BATCHER, "BookingBatcher._book_some", _ALONE, "for waiting", chance=True),
    Entry(_BATCHER, "BookingBatcher._book_some", _ALONE, "await self._book_alone",
          chance=True),
    Entry(_BATCHER, "BookingBatcher._book_alone", _ALONE, chance=True),
    Entry(_GATEWAY, "VenueGateway.void", _MUTE, "return await", chance=True),
    Entry(_GATEWAY, "VenueGateway._used", _MUTE, chance=True),
    Entry(_GATEWAY, "VenueGateway._judge", _MUTE, '_log.warning("malformed',
          chance=True),
    Entry(_GATEWAY, "VenueGateway._judge", _MUTE, "return LookupResult.NO_ANSWER",
          '_log.warning("malformed', True),
    Entry(_GATEWAY, "_as_order", _MUTE, chance=True),
    Entry(_GATEWAY, "VenueGateway._judge", _MUTE, "return LookupResult.NO_ANSWER",
          "if order.order_key", True),
    Entry(f"{_CONFIRM}/ledger.py", "Ledger._shift", _LOGGED, "_log.error"),
    Entry(f"{_CONFIRM}/payouts.py", "Payouts.poll", _AWAY, "raise", chance=True),
    Entry(f"{_CONFIRM}/payouts.py", "Payouts.poll", _LOGGED, "_log.error"),
    Entry(f"{_CONFIRM}/payouts.py", "pay_market", _RACE, "return None", chance=True),
    Entry(f"{_CONFIRM}/payouts.py", "Payouts._pay", _UNTOLD, "self._later[", chance=True),
    Entry(f"{_CONFIRM}/payouts.py", "Payouts._pay", _UNTOLD, "return", chance=True),
    Entry(f"{_CONFIRM}/shortfalls.py", "Shortfalls.covered", _UNTOLD, "return None", chance=True),
    Entry(f"{_CONFIRM}/redemptions.py", "Redemptions.request", "insiders-api redeems as it says",
          "_differs.add"),
    Entry(f"{_CONFIRM}/redemptions.py", "Redemptions.request", "insiders-api redeems as it says",
          "_log.error"),
    Entry(f"{_CONFIRM}/redemptions.py", "Redemptions._word", _MUTE, "return RedemptionVerdict(",
          chance=True),
    Entry(f"{_CONFIRM}/resolutions.py", "poll", _AWAY, "raise", chance=True),
    Entry(f"{_CONFIRM}/resolutions.py", "poll", _LOGGED, "_log.error"),
    Entry(f"{_CONFIRM}/resolutions.py", "poll", _LOGGED, "await store.execute"),
    Entry(f"{_CONFIRM}/resolutions.py", "_resolve", _RACE, "return f", chance=True),
    Entry(f"{_CONFIRM}/resolutions.py", "_resolve", _OPERATOR, "return what.refused"),
    Entry(f"{_CONFIRM}/resolutions.py", "_resolve", _OPERATOR, "ledger.book", chance=True),
    Entry(f"{_CONFIRM}/server.py", "ConfirmServicer.StreamFills",
          "router and guard say who they are", "before = self._tail.last"),
    *(
        Entry(f"{_CONFIRM}/store.py", function, _APPEARED, statement, chance=True)
        for function, statement in (
            ("take", "reducing = again"), ("_ControlLockNeeded.__init__", ""), ("_reduce", ""),
            ("_take", "await _reduce"), ("_take", "raise _BeginAgain"),
            ("_move", "ledger.apply"), ("_move", 'pipeline.queue(QUERIES["reserve'),
            ("_book", "if await pipelined_rows("), ("_book", "ledger.close(key, again"),
            ("_is_news", "return True"),
        )
    ),
    Entry(_MONITOR, "OrderMonitor._again", "what has ended is watched for days",
          "where ="),
    Entry(_MONITOR, "OrderMonitor._again", "what has ended is watched for days",
          "await store.execute"),
    Entry(f"{_CONFIRM}/worker.py", "Confirm._poll", _LOGGED, '_log.error("an order cannot'),
    Entry(f"{_CONFIRM}/worker.py", "Confirm._poll", _LOGGED, "_stuck.add"),
    Entry(f"{_CONFIRM}/worker.py", "Confirm._poll", _LOGGED, "await while_database_is_away"),
    Entry(f"{_CONFIRM}/worker.py", "Confirm._conclude", _RACE, "return", chance=True),
    Entry(f"{_GUARD}/bookings.py", "Bookings.put", _FULL, "self._room.clear"),
    Entry(f"{_GUARD}/bookings.py", "Bookings.put", _FULL, "await self._room.wait"),
    Entry(f"{_GUARD}/bookings.py", "Bookings._publish", _LOGGED, "_log.error"),
    Entry(f"{_GUARD}/claiming.py", "Claims.slice", "no wallet is halted here", "return None",
          "if self._held"),
    Entry(_EXITS, "ExitLifecycle.show_outcome", _RACE, "return as_it_is(row)",
          "if order is None", True),
    Entry(_EXITS, "ExitLifecycle.settle", _LOST, "return as_it_is(row)",
          "if order is None", True),
    Entry(_EXITS, "ExitLifecycle.settle", _ANEW, "return self._over", chance=True),
    Entry(_EXITS, "ExitLifecycle._over", _ANEW, chance=True),
    Entry(f"{_GUARD}/lot_sync.py", "end_superseded", _RACE, "return as_it_is(row)",
          chance=True),
    Entry(f"{_GUARD}/lot_sync.py", "end_resolved", _PAID, chance=True),
    Entry(_CACHE, "TriggerCache.put", _RACE, "return", "if trigger.version <", True),
    Entry(_CACHE, "TriggerCache.put_read", _RACE, "return False", chance=True),
    Entry(_EXITS, "ExitLifecycle._next_slice", _RACE, "return as_it_is(row)",
          "if book is None or book.status", True),
    Entry(f"{_GUARD}/worker.py", "Guard.on_fill", _PAID, "await self._change(trigger_id, lot_sync",
          chance=True),
    Entry(f"{_GUARD}/worker.py", "Guard.on_fill", _PARTED, "return", "if not self._cache.owns"),
    Entry(f"{_GUARD}/worker.py", "Guard._change", _AWAY, "raise", chance=True),
    *(
        Entry(f"{_GUARD}/worker.py", "Guard._change", _STUCK, statement)
        for statement in (
            "if trigger_id not in", "_log.error", "self._stuck.", "_stuck.add", "return False",
        )
    ),
    Entry(f"{_GUARD}/worker.py", "Guard.recheck", _STUCK, "await self._open"),
    Entry(f"{_GUARD}/worker.py", "Guard.recheck", _STUCK, "await self._follow_lot"),
    Entry(f"{_GUARD}/worker.py", "Guard.suspend", _AWAY, "self._writer.schedule_soon", chance=True),
    Entry(f"{_GUARD}/worker.py", "Guard.suspend", _AWAY, "raise", chance=True),
    Entry(_EVALUATION, "_change", _RACE, "return None", chance=True),
    Entry(_WRITER, "Writer.change_all", _AWAY, "await self._know", chance=True),
    Entry(_WRITER, "Writer.change_all", _AWAY, "raise", chance=True),
    Entry(_WRITER, "Writer._know_what_is_committed", _AWAY, chance=True),
    Entry(_WRITER, "Writer._read", _AWAY, chance=True),
    Entry(f"{_GUARD}/worker.py", "Guard.refresh", _BY_HAND, "await self._take_lot("),
    Entry(f"{_GUARD}/worker.py", "Guard._take_lot", _BY_HAND),
    *(
        Entry(_EVALUATION, "Evaluator.judge", _AWAY, statement, below, True)
        for statement, below in (
            ("_log.warning", ""), ("self._writer.schedule_soon", ""),
            ("return", "self._writer.schedule_soon"),
            ("waiting.extendleft", ""),
        )
    ),
    Entry(_EVALUATION, "Evaluator._divide", _AWAY, chance=True),
    *(
        Entry(_MARKS, "HighWaterMarks._record", _LOST_PEAKS, statement, chance=True)
        for statement in ("await self._get_over(", "return set(found)")
    ),
    *(
        Entry(_MARKS, "HighWaterMarks._get_over", _LOGGED, "await self._pause(", below)
        for below in ("# The first one", "else:")
    ),
    Entry(_MARKS, "HighWaterMarks._get_over", _LOST_PEAKS, chance=True),
    Entry(_MARKS, "HighWaterMarks._recorded", _LOGGED, "await self._pause("),
    Entry(_MARKS, "HighWaterMarks._recorded", _LOST_PEAKS, chance=True),
    Entry(_MARKS, "HighWaterMarks._pause", _LOGGED),
    Entry(_MARKS, "HighWaterMarks._record", _OTHERWISE, "del found", chance=True),
    Entry(_MARKS, "HighWaterMarks.record", _OTHERWISE, "self._put_back(", chance=True),
    Entry(_MARKS, "HighWaterMarks._put_back", _OTHERWISE, chance=True),
    Entry(_MARKS, "HighWaterMarks._insert", _LOST_PEAKS, "journal.check", chance=True),
    Entry(_MARKS, "HighWaterMarks._insert", _LOST_PEAKS, "raise", chance=True),
    Entry(_COMPACTION, "Compaction.fold", _AWAY, "self.waiting.join", chance=True),
    Entry(_COMPACTION, "Compaction.fold", _AWAY, "raise", chance=True),
    *(
        Entry(_COMPACTION, "Compaction._fold", _HELD, statement, chance=True)
        for statement in (
            "if len(some) > 1", "portions.extendleft", "self._cannot", "left.update",
        )
    ),
    Entry(_COMPACTION, "Compaction._fold", _AWAY, "if isinstance(error", chance=True),
    Entry(_COMPACTION, "Compaction._fold", _AWAY, "raise", chance=True),
    Entry(_COMPACTION, "Compaction._cannot", _HELD, chance=True),
    Entry(f"{_GUARD}/worker.py", "Guard.fold_peaks", _AWAY, "raise", chance=True),
    Entry(f"{_GUARD}/worker.py", "Guard.fold_peaks", _LOGGED, "_log.error"),
    *(
        Entry(_TRAILING, "TrailingStops.judge", _OTHERWISE, statement, chance=True)
        for statement in (
            "keys = ", "self._peaks.learned", "self._recorded.set",
            "await self._evaluator.judge(self._beside",
        )
    ),
    Entry(_TRAILING, "TrailingStops._beside", _OTHERWISE, chance=True),
    Entry(_TRAILING, "TrailingStops._learn", _OTHERWISE, chance=True),
    Entry(_MARKS, "HighWaterMarks.learned", _OTHERWISE, chance=True),
    Entry(_WRITER, "Writer.learn", _OTHERWISE, chance=True),
    Entry(_WRITER, "Writer.learn.poll", _OTHERWISE, chance=True),
    Entry("tradingtools/storage/postgres/journal.py", "build_rows_or_quarantine", _SINGLY,
          "_log.error"),
    Entry("tradingtools/storage/postgres/journal.py", "build_rows_or_quarantine", _SINGLY,
          "await connection.execute(_QUERIES[\"set_aside\"]"),
)  # fmt: skip


def why(step: Step) -> str:
    """Return why a step is not reached; empty: there is no reason."""
    if step.line in contradictions(step.path):
        return MISTAKE
    return next((entry.why for entry in UNREACHED if entry.holds(step)), "")


def untrue(reached: Iterable[Step]) -> list[Entry]:
    """Entries of the table that have a step which was reached, and not by chance."""
    steps = list(reached)
    never = [entry for entry in UNREACHED if not entry.chance]
    return [entry for entry in never if any(entry.holds(step) for step in steps)]


def empty(every: Collection[Step]) -> list[Entry]:
    """Entries that are about no step at all."""
    return [entry for entry in UNREACHED if not any(entry.holds(step) for step in every)]
