"""Notes in Django with a plug-in that keeps history: django-simple-history or django-auditlog.

The models are made once Django is set up with the plug-in, so this module is imported after `set_up`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import django
from django.conf import settings

PLUGINS = {"django-simple-history": "simple_history", "django-auditlog": "auditlog"}


def set_up(database: Path, peer: str) -> None:
    """Configure Django for one plug-in and one database file."""
    settings.configure(
        INSTALLED_APPS=[
            "django.contrib.contenttypes",
            "django.contrib.auth",
            PLUGINS[peer],
            "ops.bench.peers",
        ],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": str(database),
                "OPTIONS": {
                    "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;",
                    "transaction_mode": "IMMEDIATE",
                    "timeout": 60,
                },
            }
        },
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
    )
    django.setup()


def writer(peer: str, *, fresh: bool, clients: int, text: str) -> Callable[[], None]:
    """Return the act that writes one note; `fresh` makes the tables and the clients first."""
    from django.apps import apps
    from django.core.management import call_command
    from django.db import connection, models, transaction
    from django.utils import timezone

    class Client(models.Model):
        id = models.UUIDField(primary_key=True, default=uuid4)
        name = models.CharField(max_length=200)

        class Meta:
            app_label = "peers"

    class Access(models.Model):
        client = models.ForeignKey(Client, on_delete=models.PROTECT)
        actor = models.CharField(max_length=64)
        action = models.CharField(max_length=64)
        purpose = models.CharField(max_length=16)
        at = models.DateTimeField()

        class Meta:
            app_label = "peers"

    fields: dict[str, Any] = {
        "id": models.UUIDField(primary_key=True, default=uuid4),
        "client": models.ForeignKey(Client, on_delete=models.PROTECT),
        "author": models.CharField(max_length=64),
        "kind": models.CharField(max_length=32),
        "text": models.TextField(),
        "signed_at": models.DateTimeField(),
        "Meta": type("Meta", (), {"app_label": "peers"}),
        "__module__": __name__,
    }
    if peer == "django-simple-history":
        from simple_history.models import HistoricalRecords

        fields["history"] = HistoricalRecords()
    note_model: Any = type("Note", (models.Model,), fields)
    if peer == "django-auditlog":
        from auditlog.registry import auditlog

        auditlog.register(note_model)
    if fresh:
        call_command("migrate", verbosity=0)
        with connection.schema_editor() as schema:
            for model in apps.get_app_config("peers").get_models():
                schema.create_model(model)
        Client.objects.bulk_create(Client(name="Bench Mark") for _ in range(clients))
    known = list(Client.objects.all())
    place = iter(range(2**62))

    def act() -> None:
        client = known[next(place) % len(known)]
        at = timezone.now()
        with transaction.atomic():
            note_model.objects.create(client=client, author="therapist", kind="progress", text=text, signed_at=at)
            Access.objects.create(client=client, actor="therapist", action="note.sign", purpose="TREAT", at=at)

    return act
