"""What commands do to an open clinic: one function for each duty, through the two doors.

- A duty gets the clinic, who asks, plain arguments and where to tell progress; it returns plain data or structs, and a
  file in pieces where it makes one (`Streamed`).
- Accounts and tokens go through `transact`; reports go through `view` and leave their access entry.
- A token is shown once; the log keeps its keyed digest only. So is the secret of a second factor, kept nowhere.

It knows nothing of terminals and sockets (`ops.desk`, `ops.control`).
"""

from __future__ import annotations

import secrets
import uuid
from base64 import b64decode
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ops import wiring
from ops.exits import CommandFailed, Exit
from ops.logging import log
from ops.wiring import ADDRESS_KEY, Clinic
from projections.disclosures import ACCOUNTING
from projections.erasure_certificate import CERTIFICATE
from projections.erasures import ERASURES
from projections.former_bundle import FORMER_BUNDLE
from projections.patterns_report import address_digest
from projections.spot_checks import SPOT_CHECKS, gather
from projections.whole_clinic import WHOLE_CLINIC
from records.actors import Purpose, Role
from records.clinic import change_policy
from records.erasing import Waiting
from records.errors import InvalidContent, UnknownItem
from records.ledger import from_microseconds
from records.purging import left_to_purge, purge
from records.request import Request
from records.retention_profiles import RetentionProfile
from records.signed_note import parse_vkey
from records.spot_checks import SEED_BYTES, decide_spot_check, draw_spot_check
from records.staff import change_role, create_account, disable_account, issue_token, record_ties, revoke_token

Progress = Callable[[int, int], None]
"""(done, of) → told while a long duty runs; `of` is 0 where it is not known."""
Take = Callable[[bytes], object]
"""(the next piece) → takes what a duty streams."""
Duty = Callable[[Clinic, Request, dict[str, Any], Progress], Any]


class Streamed(NamedTuple):
    """What a duty returns that has more to give than should be in memory: plain data, and the pieces of a file."""

    told: Any
    pieces: Iterator[bytes]


class AuditAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a page of the audit is asked for; see `projections.audit_question.Question`."""

    client: uuid.UUID | None = None
    staff: str | None = None
    action: str | None = None
    for_purpose: str | None = None
    outcome: str | None = None
    relation: str | None = None
    role: str | None = None
    outside_team: bool = False
    from_at: datetime | None = None
    to_at: datetime | None = None
    source: str = "all"
    sort: str | None = None
    after: str | None = None
    limit: int = 50


class DueAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a page of the records that are due is asked for; see `projections.retention.DuePage`."""

    on: date | None = None
    within: int = 0
    after: uuid.UUID | None = None


class ProfileAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The retention profile to set: a name or a whole one; None only shows what is in force."""

    profile: str | RetentionProfile | None = None


class PatternsAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_at": "from", "to_at": "to"}):
    """What patterns are looked for in; see `projections.patterns_report.PatternsReport`."""

    from_at: datetime | None = None
    to_at: datetime | None = None
    staff: str | None = None


# Worked out once, before threads use it.
_PATTERNS_ASKED = msgspec.json.Decoder(PatternsAsked)
_DUE_ASKED = msgspec.json.Decoder(DueAsked)
_PROFILE_ASKED = msgspec.json.Decoder(ProfileAsked)
_AUDIT_ASKED = msgspec.json.Decoder(AuditAsked)
TOKEN_PREFIX = "wk_"  # noqa: S105 - what every token begins with, not a token
TOKEN_BYTES = 32
ENROLMENT_BYTES = 32
REVIEWERS = (Role.SUPERVISOR, Role.PRIVACY_OFFICER)
MAX_TOKEN_DAYS = 366


# --- accounts and tokens


def _add_user(clinic: Clinic, request: Request, arguments: dict[str, Any], _: Progress) -> Any:
    staff_id, role = uuid.uuid4(), Role(arguments["role"])
    clinic.service.transact(staff_id, create_account, request, name=arguments["name"], role=role)
    return {"id": staff_id, "name": arguments["name"], "role": role}


def _list_users(clinic: Clinic, request: Request, _: dict[str, Any], __: Progress) -> Any:
    clinic.service.admit("account.list", None, request)
    now = datetime.now(UTC)
    accounts = sorted(clinic.service.directory.staff.values(), key=lambda record: (record.name, record.staff_id))
    return [
        {
            "id": record.staff_id,
            "name": record.name,
            "role": record.role,
            "disabled": record.disabled,
            "tokens": [
                {"id": token_id, "expires_at": token.expires_at}
                for token_id, token in record.tokens.items()
                if not token.revoked and token.expires_at > now
            ],
        }
        for record in accounts
    ]


def _change_role(clinic: Clinic, request: Request, arguments: dict[str, Any], _: Progress) -> Any:
    staff_id, role = _id(arguments["id"], "account"), Role(arguments["role"])
    clinic.service.transact(staff_id, change_role, request, role=role)
    return {"id": staff_id, "role": role}


def _disable_user(clinic: Clinic, request: Request, arguments: dict[str, Any], _: Progress) -> Any:
    staff_id = _id(arguments["id"], "account")
    clinic.service.transact(staff_id, disable_account, request)
    return {"id": staff_id, "disabled": True}


def _enrol_second_factor(clinic: Clinic, request: Request, arguments: dict[str, Any], _: Progress) -> Any:
    staff_id = _id(arguments["user"], "account")
    uri = clinic.emergency.enrol(staff_id, secrets.token_bytes(ENROLMENT_BYTES), request)
    return {"user": staff_id, "uri": uri}


def _name_second_reviewer(clinic: Clinic, request: Request, arguments: dict[str, Any], _: Progress) -> Any:
    staff_id = _id(arguments["user"], "account")
    clinic.service.admit(change_policy.permission, None, request)
    account = clinic.service.directory.staff.get(staff_id)
    if account is None or account.disabled or account.role not in REVIEWERS:
        raise UnknownItem("supervisor or privacy officer")
    policy = msgspec.structs.replace(clinic.service.directory.clinic.policy, second_reviewer=str(staff_id))
    clinic.service.transact(clinic.service.streams.clinic, change_policy, request, policy=policy)
    return {"user": staff_id, "second_reviewer": True}


def _issue_token(clinic: Clinic, request: Request, arguments: dict[str, Any], _: Progress) -> Any:
    staff_id, token_id = _id(arguments["user"], "account"), uuid.uuid4()
    token = TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    if not 0 < arguments["days"] <= MAX_TOKEN_DAYS:
        raise InvalidContent("/days", f"Must be 1 to {MAX_TOKEN_DAYS}.")
    expires_at = datetime.now(UTC) + timedelta(days=arguments["days"])
    clinic.service.transact(
        staff_id,
        issue_token,
        request,
        token_id=token_id,
        digest=clinic.service.token_digest(token),
        expires_at=expires_at,
    )
    return {"id": token_id, "user": staff_id, "token": token, "expires_at": expires_at}


def _record_ties(clinic: Clinic, request: Request, arguments: dict[str, Any], _: Progress) -> Any:
    staff_id, client, address = _id(arguments["id"], "account"), arguments["client"], arguments["address"]
    key = clinic.service.streams.service_key(ADDRESS_KEY)
    clinic.service.transact(
        staff_id,
        record_ties,
        request,
        client_id=None if client is None else _id(client, "client"),
        address_digest=None if address is None else address_digest(key, address),
    )
    return {"id": staff_id, "client": client is not None, "address": address is not None}


def _revoke_token(clinic: Clinic, request: Request, arguments: dict[str, Any], _: Progress) -> Any:
    token_id = _id(arguments["id"], "token")
    clinic.service.admit("token.revoke", None, request)
    holders = [record.staff_id for record in clinic.service.directory.staff.values() if token_id in record.tokens]
    if not holders:
        raise UnknownItem("token")
    clinic.service.transact(holders[0], revoke_token, request, token_id=token_id)
    return {"id": token_id, "user": holders[0], "revoked": True}


# --- the log's proofs


def _accept_witness(clinic: Clinic, request: Request, arguments: dict[str, Any], _: Progress) -> Any:
    from ops.witness.witnessing import accept

    clinic.service.admit("log.witness", None, request)
    asked, answered = (b64decode(arguments[name]) for name in ("request", "answer"))
    return accept(clinic, asked, answered, parse_vkey(arguments["witness"]))


# --- the record as a whole


def _backup(clinic: Clinic, request: Request, arguments: dict[str, Any], progress: Progress) -> Any:
    from ops.backups.backup import back_up

    clinic.service.admit("clinic.backup", None, request)
    made = back_up(clinic, Path(arguments["to"]), Path(arguments["keyring_into"]), progress)
    log("info", "backup.made", entries=made["entries"], bytes=made["bytes"])
    return made


def _load(clinic: Clinic, request: Request, arguments: dict[str, Any], progress: Progress) -> Any:
    from ops.loading.load import load_file

    clinic.service.admit("clinic.load", None, request)
    return load_file(clinic, Path(arguments["path"]), progress)


def _rebuild(clinic: Clinic, request: Request, arguments: dict[str, Any], progress: Progress) -> Any:
    from projections.rebuild import AUDIT_INDEX, SNAPSHOTS, VIEWS, rebuild_client_views

    clinic.service.admit("views.rebuild", None, request)
    wanted = arguments["view"]
    if wanted is not None and wanted not in VIEWS:
        raise CommandFailed(Exit.USAGE, f"there is no such view; there are {', '.join(VIEWS)}")
    done: list[dict[str, Any]] = []
    snapshots = [view for view in SNAPSHOTS if wanted in (None, view)]
    if snapshots:
        # One pass makes every view of single clients, since opening the events is what costs.
        rebuilt = rebuild_client_views(clinic.service.reader, clinic.store, snapshots, progress)
        done.append({"views": snapshots, **rebuilt._asdict()})
    if wanted in (None, AUDIT_INDEX):
        entries = clinic.audit_index.rebuild()
        done.append({"views": [AUDIT_INDEX], "clients": 0, "events": entries, "rows": entries, "unreadable": 0})
    return done


def _declare_clock(clinic: Clinic, request: Request, _: dict[str, Any], __: Progress) -> Any:
    clinic.service.admit("clock.declare", None, request)
    newest_us, now_us = clinic.store.head().last_us, wiring.now_us()
    clinic.clock.declare(newest_us)
    log("warning", "clock.declared", newest_us=newest_us, now_us=now_us)
    return {"newest": from_microseconds(newest_us), "now": from_microseconds(now_us)}


def _turn_keys(clinic: Clinic, request: Request, arguments: dict[str, Any], progress: Progress) -> Any:
    from records.key_turns import TURNING, turn_data_keys

    clinic.service.admit("keys.turn", None, request)
    classes = {each.name.lower(): each for each in TURNING}
    wanted = classes.get(arguments["class"])
    if wanted is None:
        raise CommandFailed(Exit.USAGE, f"keys of these classes turn: {', '.join(classes)}")
    return {"class": arguments["class"], "count": turn_data_keys(clinic.store, clinic.keyring, wanted, progress)}


def _audit(clinic: Clinic, request: Request, arguments: dict[str, Any], _: Progress) -> Any:
    asked = _AUDIT_ASKED.decode(msgspec.json.encode(arguments))
    return clinic.service.view(clinic.audit_index.report, request, Purpose.HCOMPL, **msgspec.structs.asdict(asked))


def _patterns(clinic: Clinic, request: Request, arguments: dict[str, Any], _: Progress) -> Any:
    asked = _PATTERNS_ASKED.decode(msgspec.json.encode(arguments))
    return clinic.service.view(
        clinic.patterns, request, Purpose.HCOMPL, **msgspec.to_builtins(asked, builtin_types=(datetime,))
    )


def _draw_spot_checks(clinic: Clinic, request: Request, _: dict[str, Any], __: Progress) -> Any:
    service = clinic.service
    # Drawing opens entries, so who may not draw is turned away before.
    service.admit(draw_spot_check.permission, None, request)
    draw_id, seed = uuid.uuid4(), secrets.token_bytes(SEED_BYTES)
    record = service.directory.clinic
    after, upto = record.drawn_upto, service.reader.position()
    entries, readers = gather(service.reader, seed, after, upto, record.policy.spot_check_size)
    drawn: dict[str, Any] = {
        "draw_id": draw_id,
        "seed": seed,
        "after": after,
        "upto": upto,
        "entries": entries,
        "readers": readers,
    }
    service.transact(service.streams.clinic, draw_spot_check, request, **drawn)
    return {"id": draw_id}


def _list_spot_checks(clinic: Clinic, request: Request, arguments: dict[str, Any], _: Progress) -> Any:
    return clinic.service.view(SPOT_CHECKS, request, Purpose.HCOMPL, open=arguments["open"])


def _decide_spot_check(clinic: Clinic, request: Request, arguments: dict[str, Any], _: Progress) -> Any:
    draw_id = _id(arguments["draw"], "spot check")
    decided: dict[str, Any] = {
        "index": arguments["index"],
        "outcome": arguments["outcome"],
        "ground": arguments["ground"],
    }
    clinic.service.transact(clinic.service.streams.clinic, decide_spot_check, request, draw_id=draw_id, **decided)
    return {"id": draw_id, **decided}


def _request_erasure(clinic: Clinic, request: Request, arguments: dict[str, Any], _: Progress) -> Any:
    client_id, erasure_id = _id(arguments["client"], "client"), uuid.uuid4()
    clinic.erasure.request(client_id, erasure_id, arguments["basis"], request)
    return {"id": erasure_id, "client": client_id, "basis": arguments["basis"]}


def _approve_erasure(clinic: Clinic, request: Request, arguments: dict[str, Any], _: Progress) -> Any:
    erasure_id = _id(arguments["id"], "erasure")
    client_id = clinic.erasure.state(erasure_id).client_id
    clinic.erasure.approve(client_id, erasure_id, request)
    completed = clinic.erasing.attempt(Waiting(erasure_id, client_id))
    return {"id": erasure_id, "client": client_id, "completed": completed}


def _withdraw_erasure(clinic: Clinic, request: Request, arguments: dict[str, Any], _: Progress) -> Any:
    erasure_id = _id(arguments["id"], "erasure")
    client_id = clinic.erasure.state(erasure_id).client_id
    clinic.erasure.withdraw(client_id, erasure_id, arguments["ground"], request)
    return {"id": erasure_id, "client": client_id, "withdrawn": arguments["ground"]}


def _purge_erasure(clinic: Clinic, request: Request, arguments: dict[str, Any], progress: Progress) -> Any:
    erasure_id = _id(arguments["id"], "erasure")
    if arguments["dry_run"]:
        client_id, left = left_to_purge(clinic.service, clinic.store, erasure_id, request)
        return {"id": erasure_id, "client": client_id, "left": left}
    purged = purge(clinic.service, clinic.store, erasure_id, request, progress)
    return {"id": erasure_id, **purged._asdict()}


def _certify_erasure(clinic: Clinic, request: Request, arguments: dict[str, Any], _: Progress) -> Any:
    erasure_id = _id(arguments["id"], "erasure")
    client_id = clinic.erasure.state(erasure_id).client_id
    if clinic.signer is not None and clinic.signer.leads:
        clinic.signer.flush()
    return clinic.service.view(CERTIFICATE, request, Purpose.HCOMPL, client_id, resource=erasure_id)


def _list_erasures(clinic: Clinic, request: Request, arguments: dict[str, Any], _: Progress) -> Any:
    return clinic.service.view(ERASURES, request, Purpose.HCOMPL, limit=arguments["limit"], after=arguments["after"])


def _due(clinic: Clinic, request: Request, arguments: dict[str, Any], _: Progress) -> Any:
    asked = _DUE_ASKED.decode(msgspec.json.encode(arguments))
    return clinic.service.view(clinic.retention, request, Purpose.HCOMPL, **msgspec.structs.asdict(asked))


def _retention_profile(clinic: Clinic, request: Request, arguments: dict[str, Any], _: Progress) -> Any:
    chosen = _PROFILE_ASKED.decode(msgspec.json.encode(arguments)).profile
    clinic.service.admit(change_policy.permission, None, request)
    policy = clinic.service.directory.clinic.policy
    if chosen is not None:
        policy = msgspec.structs.replace(policy, retention=chosen)
        clinic.service.transact(clinic.service.streams.clinic, change_policy, request, policy=policy)
    return policy.retention_profile


def _export(clinic: Clinic, request: Request, arguments: dict[str, Any], _: Progress) -> Any:
    from ops.exports.exporting import ExportAsked, export_record

    asked = msgspec.convert(arguments, ExportAsked)
    return Streamed(*export_record(clinic, request, uuid.uuid4(), asked))


def _disclose(clinic: Clinic, request: Request, arguments: dict[str, Any], _: Progress) -> Any:
    from ops.exports.disclosing import DiscloseAsked, disclose_event

    asked = msgspec.convert(arguments, DiscloseAsked)
    return Streamed(*disclose_event(clinic, request, uuid.uuid4(), asked))


def _export_clinic(clinic: Clinic, request: Request, _: dict[str, Any], __: Progress) -> Any:
    leaving = clinic.service.view(WHOLE_CLINIC, request, Purpose.HCOMPL)
    if clinic.signer is not None and clinic.signer.leads and not clinic.signer.stopped:
        clinic.signer.flush()
    log("info", "clinic.exported", entries=leaving.upto + 1)
    return leaving


def _import(clinic: Clinic, request: Request, arguments: dict[str, Any], _: Progress) -> Any:
    from ops.moving.importing import ImportAsked, import_bundle

    asked = ImportAsked(
        path=Path(arguments["path"]),
        genesis=arguments["genesis"],
        unpinned=arguments["unpinned"],
        checkpoints=tuple(map(Path, arguments["checkpoints"])),
    )
    return import_bundle(clinic, request, asked)


def _former(clinic: Clinic, request: Request, arguments: dict[str, Any], _: Progress) -> Any:
    client_id = _id(arguments["client"], "client")
    return {"bundle": clinic.service.view(FORMER_BUNDLE, request, Purpose.PATRQT, client_id)}


def _letter(clinic: Clinic, request: Request, arguments: dict[str, Any], _: Progress) -> Any:
    return clinic.service.view(ACCOUNTING, request, Purpose.PATRQT, _id(arguments["client"], "client"))


def _audit_sentences(clinic: Clinic, request: Request, arguments: dict[str, Any], _: Progress) -> Any:
    asked = _AUDIT_ASKED.decode(msgspec.json.encode(arguments))
    return clinic.service.view(clinic.audit_index.grouped, request, Purpose.HCOMPL, **msgspec.structs.asdict(asked))


def _id(text: str, kind: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise UnknownItem(kind) from None


DUTIES: dict[str, Duty] = {
    "user.add": _add_user,
    "user.list": _list_users,
    "user.role": _change_role,
    "user.disable": _disable_user,
    "user.ties": _record_ties,
    "user.reviewer": _name_second_reviewer,
    "user.totp": _enrol_second_factor,
    "token.issue": _issue_token,
    "token.revoke": _revoke_token,
    "witness.accept": _accept_witness,
    "backup": _backup,
    "load": _load,
    "rebuild": _rebuild,
    "clock.declare": _declare_clock,
    "keys.turn": _turn_keys,
    "audit.page": _audit,
    "audit.patterns": _patterns,
    "spot_checks.draw": _draw_spot_checks,
    "spot_checks.list": _list_spot_checks,
    "spot_checks.decide": _decide_spot_check,
    "erasure.request": _request_erasure,
    "erasure.approve": _approve_erasure,
    "erasure.withdraw": _withdraw_erasure,
    "erasure.purge": _purge_erasure,
    "erasure.list": _list_erasures,
    "erasure.certificate": _certify_erasure,
    "export.record": _export,
    "export.event": _disclose,
    "export.clinic": _export_clinic,
    "record.import": _import,
    "record.former": _former,
    "disclosures.letter": _letter,
    "retention.due.page": _due,
    "retention.profile": _retention_profile,
    "audit.sentences": _audit_sentences,
}
"""Every duty by name."""
