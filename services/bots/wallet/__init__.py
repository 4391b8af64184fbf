"""The bots of one leased wallet, by subject; `services/bots/wallet_run.py` puts them together."""
