"""Sends a message to a target: Slack's form and mail by ourselves, everything else by Apprise.

Before it: `delivery`, which keeps what was sent. Slack's form goes to any host, so that a test and
Mattermost can take it; mail has a Message-ID of its own, so that a mailbox shows a message once
that left twice (docs/adr/0056-alerts.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

import aiohttp
import aiosmtplib
import structlog

from services.alerts.core.grouping import Kind
from services.alerts.core.texts import Message

_log = structlog.get_logger("alerts")
LOG = "log:"
"""The URL of the target that there is when no other is set."""
_SLACK = "slack+"
_SECONDS = 10.0
_SHOWN = 200
_COLOURS: Mapping[Kind, str] = {Kind.RESOLVED: "good", Kind.PASSED: "good"}
_AGAIN = "(Perhaps told before: the process ended while it was told.)"
_LATER = frozenset({408, 425, 429})


class TargetError(Exception):
    """A target's URL cannot be used; the message is one line without secrets."""


class NotDelivered(Exception):
    """A target did not take a message.

    Args:
        message: what it said.
        for_good: trying again would not help.
        perhaps: it may have been taken all the same.
        after_seconds: it asks to be left alone for so long.
    """

    def __init__(
        self,
        message: str,
        *,
        for_good: bool = False,
        perhaps: bool = False,
        after_seconds: float = 0,
    ) -> None:
        super().__init__(message)
        self.for_good = for_good
        self.perhaps = perhaps
        self.after_seconds = after_seconds


class Target(Protocol):
    """Takes messages."""

    async def send(self, message: Message, *, again: bool) -> None:
        """Send a message; ``again``: it may have arrived before.

        Raises:
            NotDelivered: it did not take it.
        """


def make(name: str, url: str, http: aiohttp.ClientSession) -> Target:
    """Return what sends to a URL.

    Raises:
        TargetError: nothing does.
    """
    if url == LOG:
        return _Log()
    try:
        if url.startswith(_SLACK):
            return _Slack(_checked(url.removeprefix(_SLACK), ("https", "http")), http)
        if url.startswith(("smtp://", "smtps://")):
            return _Mail(url)
    except ValueError as error:
        raise TargetError(f"target {name}: {error}") from None
    return _Apprise(name, url)


def _checked(url: str, schemes: tuple[str, ...]) -> str:
    found = urlsplit(url)
    if found.scheme not in schemes or not found.hostname:
        raise ValueError(f"expected a URL with {' or '.join(schemes)} and a host")
    return url


class _Log:
    """Nobody is notified: the log has it, so that it can be seen what would be."""

    async def send(self, message: Message, *, again: bool) -> None:
        """Log a message."""
        _log.warning(
            "nobody is told; set TT_ALERTS_TARGETS", severity=message.severity, again=again,
            title=message.title, body=message.body,
        )  # fmt: skip


class _Slack:
    """An incoming webhook of Slack, or of what takes the same form."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self._url = url
        self._http = http

    async def send(self, message: Message, *, again: bool) -> None:
        """POST a message."""
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        try:
            async with self._http.post(
                self._url, json=slack_payload(message, again=again), timeout=timeout,
                allow_redirects=False,
            ) as answer:  # fmt: skip
                said = (await answer.content.read(_SHOWN)).decode(errors="replace")
                if answer.status == 200:
                    return
                raise NotDelivered(
                    f"{answer.status} {said}",
                    for_good=400 <= answer.status < 500 and answer.status not in _LATER,
                    after_seconds=_seconds(answer.headers.get("Retry-After", "")),
                )
        except aiohttp.ClientConnectorError as error:
            raise NotDelivered(type(error).__name__) from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise NotDelivered(type(error).__name__, perhaps=True) from None


def slack_payload(message: Message, *, again: bool) -> dict[str, Any]:
    """Return a message in Slack's form (api.slack.com/messaging/webhooks)."""
    colour = _COLOURS.get(message.kind, "danger" if message.severity == "critical" else "warning")
    body = f"{message.body}\n{_AGAIN}" if again else message.body
    return {
        "text": f"*{_escaped(headline(message))}*",
        "attachments": [{"color": colour, "text": _escaped(body)}],
    }


def headline(message: Message) -> str:
    """Return the first line: how bad it is, and what it is."""
    ended = message.kind in (Kind.RESOLVED, Kind.PASSED)
    text = f"[{'RESOLVED' if ended else message.severity.upper()}] {message.title}"
    # One line, whatever a fact holds: Slack's stars end at a line's end, and so does a subject.
    return " ".join(text.split())


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _seconds(text: str) -> float:
    return float(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0


class _Mail:
    """A mail server: ``smtp://user:password@host:port/?from=a@b&to=c@d,e@f``."""

    def __init__(self, url: str) -> None:
        found = urlsplit(_checked(url, ("smtp", "smtps")))
        addresses = parse_qs(found.query)
        if set(addresses) != {"from", "to"}:
            raise ValueError("expected ?from=...&to=..., and nothing else")
        self._from, self._to = addresses["from"][0], ", ".join(addresses["to"])
        self._where: dict[str, Any] = {
            "hostname": found.hostname,
            "port": found.port,
            "username": unquote(found.username) if found.username else None,
            "password": unquote(found.password) if found.password else None,
            "use_tls": found.scheme == "smtps",
            "timeout": _SECONDS,
        }

    async def send(self, message: Message, *, again: bool) -> None:
        """Hand a mail to the server."""
        try:
            await aiosmtplib.send(self._mail(message, again=again), **self._where)
        except aiosmtplib.SMTPResponseException as error:
            raise NotDelivered(
                f"{error.code} {error.message[:_SHOWN]}", for_good=error.code >= 500
            ) from None
        except aiosmtplib.SMTPConnectError as error:
            raise NotDelivered(type(error).__name__) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise NotDelivered(type(error).__name__, perhaps=True) from None

    def _mail(self, message: Message, *, again: bool) -> EmailMessage:
        mail = EmailMessage()
        mail["From"], mail["To"] = self._from, self._to
        mail["Subject"] = headline(message)
        mail["Date"] = datetime.fromtimestamp(message.at_ms // 1000, UTC)
        # The same each time that it leaves: a mailbox shows one of two.
        mail["Message-ID"] = _message_id(message.id)
        if message.thread != message.id:
            mail["In-Reply-To"] = mail["References"] = _message_id(message.thread)
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(f"{message.body}\n\n{_AGAIN}\n" if again else f"{message.body}\n")
        return mail


def _message_id(name: str) -> str:
    return f"<{name}@alerts.tradingtools>"


class _Apprise:
    """A target that Apprise knows: Telegram, PagerDuty, Discord and many others."""

    def __init__(self, name: str, url: str) -> None:
        # Loaded for those who use it: it takes half a second and some tens of megabytes.
        import apprise  # noqa: PLC0415

        self._apprise = apprise
        self._sender = apprise.Apprise()
        if not self._sender.add(url):
            raise TargetError(f"target {name}: no target has a URL like this")

    async def send(self, message: Message, *, again: bool) -> None:
        """Send a message from a thread: Apprise waits."""
        ended = message.kind in (Kind.RESOLVED, Kind.PASSED)
        kinds = self._apprise.NotifyType
        kind = kinds.SUCCESS if ended else kinds.FAILURE
        body = f"{message.body}\n{_AGAIN}" if again else message.body
        taken = await asyncio.to_thread(
            self._sender.notify, title=headline(message), body=body, notify_type=kind
        )
        if not taken:
            raise NotDelivered("Apprise could not deliver it", perhaps=True)
