"""The receiver that docs/events.md shows, run as it stands there."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import httpx

from launcher.ports import free_port
from services.webhooks.core.addresses import networks
from services.webhooks.sender import Message, sending
from tests.money_path.world import eventually

_DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "events.md"
_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
_OTHER = "whsec_" + "A" * 32
_BODY = b'{"id":"evt_7_0","sequence":"3","type":"order.filled","data":{"orderId":"k"}}'


def _shown() -> str:
    (found,) = re.findall(r"```python\n(.*?)```", _DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    return str(found)


def test_it_is_short() -> None:
    assert len([line for line in _shown().splitlines() if line.strip()]) <= 20


async def test_it_takes_what_is_signed_once_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "receiver.py").write_text(_shown())
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(tmp_path / "receiver.py"), str(port), _SECRET,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}/"
    message = Message(id="evt_7_0", body=_BODY)
    try:

        async def listens() -> bool:
            try:
                async with httpx.AsyncClient(trust_env=False) as client:
                    return (await client.post(url, content=b"{}")).status_code == 400
            except httpx.TransportError:
                return False

        await eventually(listens)
        async with sending(networks("127.0.0.0/8"), timeout_seconds=10) as sender:
            assert (await sender.send(url, [_OTHER], message)).status == 400
            assert (await sender.send(url, [_SECRET], message)).status == 204
            assert (await sender.send(url, [_OTHER, _SECRET], message)).status == 204
    finally:
        process.terminate()
    assert process.stdout is not None
    said = (await process.stdout.read()).decode().splitlines()
    await process.wait()
    assert said == ["3 order.filled {'orderId': 'k'}"]
