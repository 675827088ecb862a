"""The words of the demo clinic: storylines, what therapists write about them, and forms; all invented.

- A storyline is one course of treatment, told session by session. Its cast is chosen once for each client, so what is
  read in one record belongs together.
- Slots: `{name}`; `{she}`, `{her}`, `{them}`, `{self}` and their capitals for the client; every other is of the cast.
- A goal is in the client's own words, so there the client's "her" or "his" becomes "my".
"""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import msgspec

_TEXTS = Path(__file__).parent / "texts"
_PRONOUNS = {
    "she": {"she": "she", "her": "her", "them": "her", "self": "herself"},
    "he": {"she": "he", "her": "his", "them": "him", "self": "himself"},
}
_SENTENCE_START = re.compile(r"(?:^|[.!?]['’]? )['‘]?[a-z]")


class StoryGoal(msgspec.Struct, frozen=True):
    """A goal of a storyline; anchors are given for the GAS scale only."""

    text: str
    scale: str
    baseline: int
    anchors: dict[str, str] = msgspec.field(default_factory=dict)


class Story(msgspec.Struct, frozen=True):
    """One storyline.

    Attributes:
        beats: what was spoken about, session by session; the last is for the last session.
        understanding: how the therapist understands it, by phase.
        cast: slot → whom or what it may be.
        measures: measures that are taken beside PHQ-9 and GAD-7.
        pronoun: `she`, where the storyline can only be a woman's; None for either.
    """

    key: str
    problem: str
    beats: tuple[str, ...]
    understanding: dict[str, str]
    cast: dict[str, tuple[str, ...]]
    goals: tuple[StoryGoal, ...]
    measures: tuple[str, ...]
    modality: str = "DIT"
    pronoun: str | None = None


def _read(name: str) -> bytes:
    return (_TEXTS / name).read_bytes()


STORIES: tuple[Story, ...] = msgspec.json.decode(_read("stories.json"), type=tuple[Story, ...])
PRACTICE: dict[str, Any] = msgspec.json.decode(_read("practice.json"))
"""What any therapist may write, by phase."""
SCENES: dict[str, Any] = msgspec.json.decode(_read("scenes.json"))
"""What is said where something out of the ordinary happens."""


class Voice:
    """One client's storyline with its cast."""

    def __init__(self, story: Story, name: str, pronoun: str, rng: random.Random) -> None:
        self.story = story
        self.pronoun = pronoun
        self._rng = rng
        self._decks: dict[str, list[str]] = {}
        self._words = {"name": name, **_PRONOUNS[self.pronoun]}
        cast = {slot: rng.choice(choices) for slot, choices in story.cast.items()}
        self._words |= {word.capitalize(): text.capitalize() for word, text in _PRONOUNS[self.pronoun].items()}
        self._words |= {slot: text.format_map(self._words) for slot, text in cast.items()}
        self._own_words = self._words | {
            slot: text.format_map({**self._words, "her": "my"}) for slot, text in cast.items()
        }

    def say(self, text: str, **more: str) -> str:
        """Return a text of the therapist about this client."""
        return _sentences(text.format_map(self._words | more))

    def choose(self, kind: str, texts: list[str]) -> str:
        """Return one of the texts, said of this client; none comes twice before all of them came."""
        deck = self._decks.get(kind) or self._rng.sample(texts, len(texts))
        self._decks[kind] = deck[1:]
        return self.say(deck[0])

    def own(self, text: str) -> str:
        """Return a text in the client's own words."""
        return _sentences(text.format_map(self._own_words))


def _sentences(text: str) -> str:
    return _SENTENCE_START.sub(lambda start: start.group()[:-1] + start.group()[-1].upper(), text)
