"""Tables of figures, for a terminal and for a document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import rich.table


@dataclass(frozen=True)
class Table:
    """Rows of figures; the first column names them.

    >>> print(Table(["", "PSNR"], [["grey", "22.1"]]).markdown())
    |  | PSNR |
    | --- | ---: |
    | grey | 22.1 |
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def rich(self) -> rich.table.Table:
        """The table for a rich console."""
        table = rich.table.Table(*self.header)
        for column in table.columns[1:]:
            column.justify = "right"
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        """The table for a document."""
        lines = [self.header, ["---"] + ["---:"] * (len(self.header) - 1), *self.rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)
