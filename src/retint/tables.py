"""Tables of figures, for a terminal and for a document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap

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
        """The table for a rich console; where that is narrow, names and texts break, no figure."""
        # Lines between the columns would take the room of three of them.
        table = rich.table.Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
        for number, title in enumerate(self.header):
            cells = [row[number] for row in self.rows]
            if number == 0 or any(cell[:1].isalpha() for cell in cells):
                table.add_column(title, overflow="fold")
            else:
                width = max(map(len, [*title.split(), *cells]))
                table.add_column("\n".join(wrap(title, width)), justify="right", no_wrap=True)
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        """The table for a document."""
        lines = [self.header, ["---"] + ["---:"] * (len(self.header) - 1), *self.rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)
