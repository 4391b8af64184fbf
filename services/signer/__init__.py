"""signer: holds the secrets of trading wallets, and signs what its rules let through.

Before it: engines that trade wallets, and control, which adds and retires them, over a Unix
socket. After it: nobody; it opens no connection but to PostgreSQL. May repeat: a signature. May
lose: nothing that it has answered. A kill leaves each wallet as it was or as it was to become.
"""
