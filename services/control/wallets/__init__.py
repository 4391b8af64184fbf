"""Trading wallets: read from the database, added and changed by the signer alone."""
