"""Notes in SQLAlchemy with SQLAlchemy-Continuum, which keeps a version row and a transaction row for each change."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.orm import configure_mappers, declarative_base, sessionmaker
from sqlalchemy_continuum import make_versioned


def _durable(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def writer(database: Path, *, fresh: bool, clients: int, text: str) -> Callable[[], None]:
    """Return the act that writes one note; `fresh` makes the tables and the clients first."""
    make_versioned(user_cls=None)
    declared: Any = declarative_base()

    class Client(declared):
        __tablename__ = "client"
        id = sa.Column(sa.String(36), primary_key=True)
        name = sa.Column(sa.String(200))

    class Note(declared):
        __tablename__ = "note"
        __versioned__: dict[str, Any] = {}  # noqa: RUF012 - the library reads it from the class
        id = sa.Column(sa.String(36), primary_key=True)
        client_id = sa.Column(sa.ForeignKey("client.id"), index=True)
        author = sa.Column(sa.String(64))
        kind = sa.Column(sa.String(32))
        text = sa.Column(sa.Text)
        signed_at = sa.Column(sa.DateTime(timezone=True))

    class Access(declared):
        __tablename__ = "access"
        id = sa.Column(sa.Integer, primary_key=True)
        client_id = sa.Column(sa.ForeignKey("client.id"), index=True)
        actor = sa.Column(sa.String(64))
        action = sa.Column(sa.String(64))
        purpose = sa.Column(sa.String(16))
        at = sa.Column(sa.DateTime(timezone=True))

    configure_mappers()
    engine = sa.create_engine(f"sqlite:///{database}", pool_size=64, connect_args={"timeout": 60})
    sa.event.listen(engine, "connect", _durable)
    session_of = sessionmaker(engine)
    if fresh:
        declared.metadata.create_all(engine)
        with session_of.begin() as session:
            session.add_all(Client(id=str(uuid4()), name="Bench Mark") for _ in range(clients))
    with session_of() as session:
        known = list(session.scalars(sa.select(Client.id)))
    place = iter(range(2**62))

    def act() -> None:
        client = known[next(place) % len(known)]
        at = datetime.now(UTC)
        with session_of.begin() as session:
            session.add(
                Note(id=str(uuid4()), client_id=client, author="therapist", kind="progress", text=text, signed_at=at)
            )
            session.add(Access(client_id=client, actor="therapist", action="note.sign", purpose="TREAT", at=at))

    return act
