"""The database, SQLite or PostgreSQL, by one code: the only importer of SQLModel and SQLAlchemy.

`tables.py` are the tables, `rows.py` turns them into values of `core` and back, `settlements.py`
writes what a look led to in one guarded transaction, `sql_store.py` claims and loads. The rest has
a file per table or question. Nothing is decided here."""
