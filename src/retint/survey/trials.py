"""The trials of a session, drawn before it begins."""

from __future__ import annotations

import random
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, get_args

from retint.survey.build import Protocol

Side = Literal["left", "right"]
_SIDES: tuple[Side, ...] = get_args(Side)


class TrialKind(StrEnum):
    """What a trial is for."""

    PRACTICE = "practice"
    COUNTED = "counted"
    CHECK = "check"


@dataclass(frozen=True)
class Trial:
    """A photograph beside its colouring, and what the rater said.

    Attributes:
        number: from 1, in the session.
        kind: what it is for.
        picture: number of the photograph in the survey.
        real: side of the photograph as it was taken.
        first: side that is shown first.
        left: random name of the left picture, all that the page gets to know of it.
        right: that of the right one.
        views: how often it was shown: more than once if the page was loaded anew.
        answer: side that the rater takes for the computer's.
        milliseconds: that the rater took to answer, once both pictures were gone.
    """

    number: int
    kind: TrialKind
    picture: int
    real: Side
    first: Side
    left: str
    right: str
    views: int = 0
    answer: Side | None = None
    milliseconds: int | None = None

    @property
    def fooled(self) -> bool:
        """Whether the rater took the photograph for the computer's work."""
        return self.answer == self.real


def draw_trials(protocol: Protocol, pictures: int, chance: random.Random) -> list[Trial]:
    """Draw a session: photographs, none twice; sides and order by a coin; checks anywhere."""
    rest = [TrialKind.COUNTED] * protocol.trials + [TrialKind.CHECK] * protocol.checks
    chance.shuffle(rest)
    kinds = [TrialKind.PRACTICE] * protocol.practice + rest
    chosen = chance.sample(range(pictures), len(kinds))
    return [
        Trial(
            number=number,
            kind=kind,
            picture=picture,
            real=chance.choice(_SIDES),
            first=chance.choice(_SIDES),
            left=secrets.token_urlsafe(16),
            right=secrets.token_urlsafe(16),
        )
        for number, (kind, picture) in enumerate(zip(kinds, chosen, strict=True), start=1)
    ]
