"""What a person does with one photograph on the page, and what the page shows of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from retint.errors import RetintError
from retint.hints import check_hints, parse_hint
from retint.tone import Kind
from retint.web.darkroom import Photograph
from retint.web.pictures import after_address, before_address, file_address

VARIANTS = (None, 1, 2, 3, 4, 5)
"""Seeds of the colourings that are shown side by side; None is the most likely one."""
MOST_HINTS = 200
"""Of a photograph: they are part of addresses, which have to stay short."""

_SEED_DIGITS = 19  # that are too many: seeds have 63 bits
_VARIANT_SIDE = 400  # pixels
_NOTES = {
    Kind.GREY: "",
    Kind.TONED: " Its tone is taken out first.",
    Kind.COLOURED: " It has colours already: they are replaced.",
}


@dataclass(frozen=True)
class Sitting:
    """A photograph in work.

    Attributes:
        photograph: that was dropped, or None at first.
        hints: colours wanted at places, as `x,y,#rrggbb`.
        seed: which colouring; None for the most likely one.
        strength: gain on the colours.
        compares: several colourings are shown side by side.
        model: name of the one that is asked; None for the service's first.
    """

    photograph: Photograph | None = None
    hints: tuple[str, ...] = ()
    seed: int | None = None
    strength: float = 1.0
    compares: bool = False
    model: str | None = None

    def asking(self, model: str) -> Sitting:
        """With another model."""
        return replace(self, model=model)

    def strengthened(self, strength: float) -> Sitting:
        """With another strength."""
        return replace(self, strength=strength)

    def seeded(self, text: str) -> Sitting:
        """With the seed that a person wrote; none if that is empty.

        Raises:
            RetintError: if it is no whole number.
        """
        digits = text.strip()
        if digits and not (digits.isascii() and digits.isdecimal() and len(digits) < _SEED_DIGITS):
            raise RetintError(f"seed '{digits}': write a whole number, or nothing")
        return replace(self, seed=int(digits) if digits else None)

    def compared(self) -> Sitting:
        """With several colourings side by side."""
        return replace(self, compares=True)

    def hinted(self, hint: str) -> Sitting:
        """With one more hint."""
        return self.with_hints([*self.hints, hint])

    def with_hints(self, hints: Sequence[str] = ()) -> Sitting:
        """With these hints, and no others.

        Raises:
            RetintError: if one is written wrongly, lies outside the photograph, or they are many.
        """
        if len(hints) > MOST_HINTS:
            raise RetintError(f"a photograph takes {MOST_HINTS} hints here: undo some")
        parsed = [parse_hint(text) for text in hints]
        if self.photograph:
            check_hints(parsed, (self.photograph.height, self.photograph.width))
        return replace(self, hints=tuple(hints))

    def undone(self) -> Sitting:
        """Without the last hint."""
        return replace(self, hints=self.hints[:-1])

    def view(self) -> dict[str, Any] | None:
        """What static/viewer.js shows."""
        if self.photograph is None:
            return None
        return {
            "before": before_address(self.photograph),
            "after": after_address(self.photograph, self._options()),
            "width": self.photograph.width,
            "height": self.photograph.height,
            "hints": list(self.hints),
        }

    def about(self) -> str:
        """What the photograph is, as HTML."""
        shown = self.photograph
        if shown is None:
            return ""
        size = f"{shown.width} \u00d7 {shown.height} pixels."
        return f'<p role="status">{escape(shown.name)}, {size}{_NOTES[shown.kind]}</p>'

    def links(self) -> str:
        """The way to the coloured file, as HTML."""
        if self.photograph is None:
            return ""
        address = file_address(self.photograph, self._options())
        text = "Download in full size"
        return (
            f'<div class="links"><a class="main" download href="{escape(address)}">{text}</a></div>'
        )

    def saved_hints(self) -> str:
        """The way to a file of the hints, as HTML."""
        if self.photograph is None or not self.hints:
            return ""
        address = "data:text/plain;charset=utf-8," + quote("\n".join(self.hints) + "\n")
        name = escape(f"{Path(self.photograph.name).stem}-hints.txt")
        return f'<div class="links"><a download="{name}" href="{address}">Save hints</a></div>'

    def variants(self) -> str:
        """Several colourings side by side, as HTML; static/variants.js tells which is chosen."""
        if self.photograph is None or not self.compares:
            return ""
        return f'<div class="variants">{"".join(map(self._variant, VARIANTS))}</div>'

    def _variant(self, seed: int | None) -> str:
        if self.photograph is None:
            return ""
        options = {**self._options(), "seed": seed, "side": _VARIANT_SIDE}
        address = escape(after_address(self.photograph, options))
        text = "Most likely" if seed is None else f"Seed {seed}"
        pressed = "true" if seed == self.seed else "false"
        value = "" if seed is None else seed
        return (
            f'<button type="button" data-seed="{value}" aria-pressed="{pressed}">'
            f'<img alt="" src="{address}">{text}</button>'
        )

    def _options(self) -> dict[str, object]:
        strength = f"{self.strength:g}"
        hints = list(self.hints)
        return {"seed": self.seed, "strength": strength, "hint": hints, "model": self.model}
