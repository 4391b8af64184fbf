"""PostgreSQL: pool, named SQL, migrations. The only store that decides."""
