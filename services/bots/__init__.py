"""bots: runs trading bots: strategies whose orders rest at exchanges, within limits of risk.

Before it: control, which writes what people want; markets and accounts of exchanges; the signer.
After it: the exchanges, and the tables that control shows. May repeat: a cancel, a look-up. May
lose: nothing that could fill; an order leaves only under a durable permit, once.
"""
