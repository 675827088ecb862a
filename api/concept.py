"""A concept's routes: one flask-smorest blueprint for each concept, under `/v1` unless told otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response
from flask_smorest import Blueprint


class Concept(Blueprint):  # type: ignore[misc]  # flask-smorest ships no types
    """The routes of one concept, with what they are about."""

    def __init__(self, name: str, description: str, url_prefix: str = "/v1") -> None:
        super().__init__(name, __name__, url_prefix=url_prefix, description=description)

    def route(self, rule: str, **options: Any) -> Callable[[Callable[..., Response]], Callable[..., Response]]:
        """Register a declared route under its address."""
        register: Callable[[Callable[..., Response]], Callable[..., Response]] = super().route(rule, **options)
        return register
