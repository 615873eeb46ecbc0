"""Pictures in the rows of tables: Parquet files, and Arrow files of the library `datasets`.

Rows come in groups, which are read whole: row groups of Parquet, record batches of Arrow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

from retint.errors import RetintError, first_line

_GROUPS = 4  # kept, for rows are read one after the other
_reading = Lock()


class _Table(Protocol):
    """An opened table.

    Attributes:
        schema: of Arrow.
        sizes: rows of each group.
    """

    schema: Any
    sizes: list[int]

    def cells(self, group: int, column: str, part: str | None) -> list[Any]:
        """A column of a group, as Python has it; of structs, `part` at least."""


class _Parquet:
    def __init__(self, file: Path) -> None:
        from pyarrow.parquet import ParquetFile

        self._file = ParquetFile(file if isinstance(file, Path) else file.open("rb"))
        metadata = self._file.metadata
        self.schema = self._file.schema_arrow
        self.sizes = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]

    def cells(self, group: int, column: str, part: str | None) -> list[Any]:
        wanted = f"{column}.{part}" if part else column
        cells: list[Any] = self._file.read_row_group(group, columns=[wanted])[column].to_pylist()
        return cells


class _Arrow:
    """The stream format; from a disk, it is mapped into memory and not read before it is needed."""

    def __init__(self, file: Path) -> None:
        import pyarrow

        local = isinstance(file, Path)
        reader = pyarrow.ipc.open_stream(
            pyarrow.memory_map(str(file)) if local else file.read_bytes()
        )
        self.schema = reader.schema
        self._batches = list(reader)
        self.sizes = [batch.num_rows for batch in self._batches]

    def cells(self, group: int, column: str, part: str | None) -> list[Any]:
        del part
        cells: list[Any] = self._batches[group].column(column).to_pylist()
        return cells


TABLES: dict[str, Callable[[Path], _Table]] = {
    ".parquet": _Parquet,  # anew for each group: a connection that broke is not kept
    ".arrow": lru_cache(maxsize=2)(_Arrow),  # from a URL it is in memory as a whole
}
"""What reads a table, by its suffix."""


def rows_of(table: Path) -> Iterator[tuple[int, int]]:
    """Group and row in it of each picture.

    Raises:
        RetintError: if the file is damaged, or has no column of pictures.
    """
    opened = _open(table)
    _image_column(opened, table)
    for group, size in enumerate(opened.sizes):
        for row in range(size):
            yield group, row


def images_of(table: Path, group: int) -> list[bytes]:
    """The encoded pictures of a group; empty where the table has none.

    Raises:
        OSError: if they cannot be read.
        RetintError: if the file is damaged so that it cannot be opened.
    """
    with _reading:  # else threads that want the same rows read them several times
        return _group(table, group)


@lru_cache(maxsize=_GROUPS)
def _group(table: Path, group: int) -> list[bytes]:
    from pyarrow import ArrowException

    opened = _open(table)
    column, is_struct = _image_column(opened, table)
    try:
        cells = opened.cells(group, column, "bytes" if is_struct else None)
    except ArrowException as error:  # of some damage; of other damage it raises OSError, too
        raise OSError(first_line(error)) from error
    if is_struct:
        cells = [cell and cell["bytes"] for cell in cells]
    return [cell or b"" for cell in cells]


def _image_column(opened: _Table, table: Path) -> tuple[str, bool]:
    """The column that holds pictures, and whether it is the hub's, of `bytes` and `path`."""
    from pyarrow import types

    binary = None
    for field in opened.schema:
        if types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0:
            return field.name, True
        if binary is None and (types.is_binary(field.type) or types.is_large_binary(field.type)):
            binary = field.name
    if binary is None:
        raise RetintError(f"{table} has no column of pictures: give tables that have one")
    return binary, False


def _open(table: Path) -> _Table:
    from pyarrow import ArrowException

    # Of some damage, pyarrow raises errors of its own, of other damage OSError: on this machine,
    # where a missing file has been told, nothing else is one.
    damage = (ArrowException, OSError) if isinstance(table, Path) else (ArrowException,)
    try:
        return TABLES[table.suffix](table)
    except damage as error:
        kind = table.suffix[1:].capitalize()
        raise RetintError(
            f"{table} cannot be read as a file of {kind}: {first_line(error)}"
        ) from error
