"""The tab that says what this is: how it works, where it errs, and the card of the model."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from retint.colorizer import Colorizer
from retint.web.service import model_facts

_FACTS = {
    "name": "Model",
    "version": "Version",
    "description": "What it is",
    "licence": "Licence",
    "size": "Learnt at, pixels of the short side",
    "takes_hints": "Takes colour hints",
    "sha256": "SHA-256 of its file",
}


def about(colorizers: Iterable[Colorizer]) -> str:
    """The whole tab, as HTML."""
    return _TEXT.replace("CARDS", "".join(map(_card, colorizers)))


def _card(colorizer: Colorizer) -> str:
    facts = model_facts(colorizer)
    rows = "".join(
        f"<tr><th>{text}</th><td>{escape(_said(facts[name]))}</td></tr>"
        for name, text in _FACTS.items()
    )
    return f"<table><tbody>{rows}</tbody></table>"


def _said(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "not stated" if value is None else str(value)


_TEXT = """<div class="about batch">
<h2>What is this?</h2>
<p>retint guesses colours for black-and-white photographs. A network looks at the photograph and
says which colours are likely where; they are put onto the photograph at its own size. Its lightness
stays as it is.</p>
<p>Everything happens on the machine that runs this page: nothing is sent elsewhere. Photographs
that were dropped here are removed from it after a while.</p>
<h2>What it cannot do</h2>
<ul>
<li>It does not know the true colours. Skin, sky, grass and wood come out plausible; clothes, paint,
flags and flowers are often pale or wrong, because grey does not tell their colour.</li>
<li>Do not take its colours for evidence. Each file says in its metadata that its colours were
inferred, by which model, and how.</li>
<li>It learnt little of children and groups, many skin tones, wildlife, night and sports, and does
worse there.</li>
<li>A hint colours what belongs to its place, up to the edges around. Lightness stays: a bright sky
takes no deep blue.</li>
</ul>
<h2>Where it was wrong</h2>
<img src="/page/static/failures.jpg"
alt="Grey, coloured and true: an astronaut, a cup of coffee, a rocket at night">
<p>From top to bottom: grey, coloured, true. The suit came out too pale an orange, the
flag brown, the hair too red, the saucer violet on one side, the night sky too bright a blue.</p>
<h2>The model</h2>
CARDS
</div>"""
