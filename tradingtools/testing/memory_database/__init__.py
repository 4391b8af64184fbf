"""PostgreSQL in memory, as far as the money path relies on it.

The seam is the named SQL statement: a service's statements are answered by their Python twins, on
tables with transactions, row locks and the constraints of the migrations. A contract suite runs the
same calls on both. Before it: the services, unchanged. After it: the simulation.

What is modelled: READ COMMITTED (each statement sees what was committed before it, and its own
transaction), row and advisory locks held to the end of the transaction, unique keys that wait for
the other transaction's end, sequences that never go back, deadlocks, savepoints. A statement that
had to wait for a lock runs again as a whole; PostgreSQL reads only the locked row again.
"""

from tradingtools.testing.memory_database.connection import Conditions, MemoryPool, NoFaults
from tradingtools.testing.memory_database.database import MemoryDatabase

__all__ = ["Conditions", "MemoryDatabase", "MemoryPool", "NoFaults"]
