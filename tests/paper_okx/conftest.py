"""One exchange for each module of tests; each test opens accounts of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.paper_okx.harness import Live, okx


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """An exchange over TLS whose market the control port makes; the clients of this process trust
    its authority."""
    with okx(tmp_path_factory.mktemp("okx")) as found, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(found.authority))
        yield found
