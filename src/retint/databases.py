"""SQLite files as programs and disks may have left them."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping


def check_database(database: sqlite3.Connection, columns: Mapping[str, str]) -> None:
    """See that a database is undamaged and has these columns, by table.

    Raises:
        sqlite3.Error: if not.
    """
    (found,) = database.execute("pragma quick_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(found.splitlines()[-1])
    for table, wanted in columns.items():
        database.execute(f"select {wanted} from {table} limit 1")
