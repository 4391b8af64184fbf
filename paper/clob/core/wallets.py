"""The wallets of each key."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Wallets:
    """Owners by wallet; the address of a key is a wallet of its own."""

    _owners: dict[str, tuple[str, int]] = field(default_factory=dict)

    def register(self, wallet: str, owner: str, signature_type: int) -> None:
        """Remember whose a proxy, Safe or deposit wallet is."""
        self._owners[wallet] = (owner, signature_type)

    def of(self, owner: str) -> set[str]:
        """Return the wallets of a key's address."""
        return {owner} | {wallet for wallet, (of, _) in self._owners.items() if of == owner}

    def of_type(self, owner: str, signature_type: int) -> str:
        """Return the wallet that a key's address uses with a type of signature."""
        if signature_type:
            for wallet, known in self._owners.items():
                if known == (owner, signature_type):
                    return wallet
        return owner
