"""Keep the books of watched assets, and serve them.

Reads: the CLOB market channel, REST of the CLOB and of Gamma, and from PostgreSQL which assets are
held or have live triggers.
Writes: the progress of its readers in PostgreSQL, for operators; nothing else.
May repeat: any mark. Marks are state, not history.
May lose: any mark but the newest; everything at a kill, since all of it can be fetched again.
"""
