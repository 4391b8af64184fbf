"""No call reaches a handler that the table of permissions does not give to this port.

A new RPC is refused until somebody has decided what it demands, also when a service is registered
on a port where it does not belong.
"""

from __future__ import annotations

from tradingtools.domain.errors import NotAllowed
from tradingtools.domain.permissions import PERMISSIONS, Permission
from tradingtools.rpc.admission import Admission, Metadata


class PermissionInterceptor(Admission):
    """Refuses the RPCs that this port does not serve.

    Args:
        served: what calls on this port may demand.
    """

    def __init__(self, served: frozenset[Permission]) -> None:
        self._served = served

    def judge(self, method: str, _metadata: Metadata) -> None:
        """Let a call on that belongs here. Raises NotAllowed."""
        if PERMISSIONS.get(method) not in self._served:
            raise NotAllowed("this port does not serve this call")
