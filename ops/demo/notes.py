"""What a therapist of the demo clinic writes of a session: what was spoken about, what was done, what came of it.

- The storyline gives the theme of each session; what the therapist did, how the client took it and what is next is
  chosen for the phase of the treatment.
- After the fourth, ninth and fifteenth session the therapist adds how the client is understood by now.
"""

from __future__ import annotations

import random

from ops.demo.prose import PRACTICE, Voice
from records.episodes import phase_of

PLANNED = 16
UNDERSTOOD_AFTER = (4, 9, 15)


def note_sections(
    voice: Voice, habit: str, number: int, rng: random.Random, text: str | None = None, *, treated: bool, final: bool
) -> dict[str, str]:
    """Return section name → text of a session's note.

    Args:
        voice: the client's storyline.
        habit: the format that the therapist writes in.
        number: of the session, from 1.
        rng: chooses how the first session began.
        text: what was spoken about, instead of the storyline's theme.
        treated: False where the client only came to be assessed.
        final: this session ends the course, so nothing is planned.
    """
    phase = phase_of("dit-manual", number, PLANNED) or "ending"
    theme = voice.say(text) if text is not None else _theme(voice, number, rng)
    work = voice.choose(f"work-{phase}", PRACTICE["interventions"][phase])
    response = voice.choose("response", PRACTICE["responses"])
    plan = "" if final else voice.choose(f"plan-{phase}", PRACTICE["plans"][phase])
    view = voice.say(voice.story.understanding[phase]) if number in UNDERSTOOD_AFTER else ""
    if number == 1:
        view = voice.say(PRACTICE["assessment" if treated else "assessed_only"])
    parts: dict[str, dict[str, tuple[str, ...]]] = {
        "free": {"text": (theme, work, response, view, plan)},
        "DAP": {"data": (theme, response), "assessment": (view, work), "plan": (plan,)},
        "SOAP": {"subjective": (theme,), "objective": (response,), "assessment": (view, work), "plan": (plan,)},
        "BIRP": {"behaviour": (theme,), "intervention": (work, view), "response": (response,), "plan": (plan,)},
    }
    joined = {name: " ".join(each for each in texts if each) for name, texts in parts[habit].items()}
    return {name: each for name, each in joined.items() if each}


def _theme(voice: Voice, number: int, rng: random.Random) -> str:
    beats = voice.story.beats
    if number == 1:
        opening = voice.say(rng.choice(PRACTICE["opening"]), source=rng.choice(PRACTICE["sources"]))
        return f"{opening} {voice.say(beats[0])}"
    if number == PLANNED:
        return f"{voice.say(beats[-1])} {voice.say(PRACTICE['closing'])}"
    if number >= len(beats):
        themes = PRACTICE["ending_themes"]
        return voice.say(themes[(number - len(beats)) % len(themes)])
    return voice.say(beats[number - 1])
