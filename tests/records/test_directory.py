"""Who is who: folded from sealed events only, and true from the next request on."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from ops.wiring import require_whole
from records.actors import Purpose, Relation, Role
from records.care_team import remove_member
from records.clinic import change_policy
from records.clinic_policy import ClinicPolicy
from records.errors import IntegrityFailure, NotPermitted
from records.ledger import encode_entry, entry_hash
from records.staff import change_role, disable_account, revoke_token
from tests.doors import Doors


def test_a_token_is_its_persons(checked: Doors) -> None:
    token, _ = checked.token_for(checked.therapist)

    for service in (checked.service, checked.second()):
        assert service.authenticate(token, "192.0.2.7") == checked.therapist
        for wrong in ("", token[:-1], token + "0", token.upper(), "wk_" + "0" * 32):
            assert service.authenticate(wrong, "192.0.2.7") is None


def test_a_token_ends_when_it_was_said_to(checked: Doors) -> None:
    token, _ = checked.token_for(checked.therapist, days=2)

    checked.watch.ahead = timedelta(days=2) - timedelta(minutes=1)
    assert checked.service.authenticate(token, "local") is not None
    checked.watch.ahead = timedelta(days=2)
    assert checked.service.authenticate(token, "local") is None


def test_a_revoked_token_is_nobodys_at_once_and_others_stand(checked: Doors) -> None:
    (token, token_id), (other, _) = checked.token_for(checked.therapist), checked.token_for(checked.therapist)
    elsewhere = checked.second()
    assert elsewhere.authenticate(token, "local") is not None
    checked.service.transact(UUID(checked.therapist.id), revoke_token, checked.operator, token_id=token_id)

    assert elsewhere.authenticate(token, "local") is None
    assert elsewhere.authenticate(other, "local") is not None


def test_a_disabled_account_signs_nobody_in_at_once(checked: Doors) -> None:
    (token, _), elsewhere = checked.token_for(checked.therapist), checked.second()
    assert elsewhere.authenticate(token, "local") is not None
    checked.service.transact(UUID(checked.therapist.id), disable_account, checked.operator)

    assert elsewhere.authenticate(token, "local") is None
    assert elsewhere.directory.name_of(checked.therapist.id) == "Jo Lind"
    checked.reopen()
    assert checked.service.authenticate(token, "local") is None


def test_a_role_is_the_one_of_the_next_request(checked: Doors) -> None:
    (token, _), elsewhere = checked.token_for(checked.therapist), checked.second()
    checked.service.transact(UUID(checked.therapist.id), change_role, checked.operator, role=Role.SUPERVISOR)

    actor = elsewhere.authenticate(token, "local")
    assert actor is not None
    assert actor.role is Role.SUPERVISOR


def test_whoever_left_the_team_reads_no_more(checked: Doors) -> None:
    client, elsewhere = checked.client(), checked.second()
    checked.read(client, service=elsewhere)
    checked.service.transact(client, remove_member, checked.operator, staff_id=checked.therapist.id)

    with pytest.raises(NotPermitted):
        checked.read(client, service=elsewhere)


def test_a_policy_counts_from_the_next_request(checked: Doors) -> None:
    elsewhere = checked.second()
    policy = ClinicPolicy(late_entry_hours=1)
    checked.service.transact(checked.clinic_stream(), change_policy, checked.operator, policy=policy)

    elsewhere.follow()
    assert elsewhere.directory.clinic.policy == policy
    assert elsewhere.directory.clinic.name == "Hill Clinic"


def test_it_folds_the_same_after_a_restart(checked: Doors) -> None:
    client = checked.client(supervised_by=checked.supervisor)
    checked.service.follow()
    before = checked.service.directory
    checked.reopen()
    after = checked.service.directory

    assert (after.staff, after.teams, after.clinic, after.position) == (
        before.staff,
        before.teams,
        before.clinic,
        before.position,
    )
    assert after.relation(checked.therapist.id, client) is Relation.TEAM
    assert after.relation(checked.supervisor.id, client) is Relation.SUPERVISES
    assert after.relation(checked.stranger.id, client) is Relation.NONE
    assert after.clients_of(checked.therapist.id, Relation.TEAM) == {client}
    assert after.clients_of(checked.therapist.id, Relation.SUPERVISES) == frozenset()


def test_operators_and_strangers_are_named_by_their_id(checked: Doors) -> None:
    checked.service.follow()
    directory = checked.service.directory
    unknown = str(uuid4())

    assert directory.name_of("operator:root") == "operator:root"
    assert directory.name_of(unknown) == unknown
    assert directory.name_of(checked.stranger.id) == "Kim Vale"


# --- what somebody with the database's own tools can do


def copy_of_a_token(doors: Doors) -> tuple[UUID, bytes]:
    """Return an account and the sealed bytes of its newest token."""
    doors.token_for(doors.therapist)
    account = UUID(doors.therapist.id)
    return account, doors.store.history(account)[-1].state


def test_a_token_that_was_inserted_as_a_row_is_nobodys(doors: Doors) -> None:
    account, state = copy_of_a_token(doors)
    version = doors.store.history(account)[-1].version + 1
    doors.outside(
        "INSERT INTO stored_events (originator_id, originator_version, topic, state)"
        f" VALUES ('{account.hex}', {version}, 'sealed', x'{state.hex()}')"
    )
    doors.reopen()

    assert len(doors.service.directory.staff[account].tokens) == 1


def test_a_token_that_was_inserted_beside_a_running_service_signs_nobody_in(
    doors: Doors,
) -> None:
    token, _ = doors.token_for(doors.therapist)
    assert doors.clinic.signer is not None
    doors.clinic.signer.flush()
    assert doors.service.authenticate(token, "192.0.2.7") is not None
    account = UUID(doors.therapist.id)
    [*_, last] = doors.store.history(account)
    following = last.entry[:32] + (last.version + 1).to_bytes(8, "big") + entry_hash(last.entry) + last.entry[72:]
    doors.outside(f"INSERT INTO ledger VALUES ({doors.stored()}, x'{following.hex()}')")

    assert doors.service.authenticate("wk_forged", "192.0.2.7") is None
    with pytest.raises(IntegrityFailure):
        doors.token_for(doors.therapist)
    assert doors.service.authenticate(token, "192.0.2.7") is not None


def test_a_clinic_with_a_forged_token_in_its_ledger_does_not_open(doors: Doors) -> None:
    import hashlib

    from records.ledger import decode_entry

    account, state = copy_of_a_token(doors)
    [*_, last] = doors.store.history(account)
    entry = decode_entry(last.entry)
    forged = encode_entry(
        1,
        entry.logged_at_us + 60_000_000,
        account.bytes,
        last.version + 1,
        entry_hash(last.entry),
        entry.key_id,
        entry.key_class,
        len(state),
        hashlib.sha256(state).digest(),
        entry.content_root,
    )
    doors.outside(
        "INSERT INTO stored_events (originator_id, originator_version, topic, state)"
        f" VALUES ('{account.hex}', {last.version + 1}, 'sealed', x'{state.hex()}')",
        f"INSERT INTO ledger VALUES ({doors.stored()}, x'{forged.hex()}')",
    )

    with pytest.raises(IntegrityFailure):
        doors.reopen()
    assert doors.alarms[-1][0] == "seal-broken"


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE stored_events SET state = zeroblob(length(state)) WHERE originator_id = '{account}'",
        "DELETE FROM stored_events WHERE originator_id = '{account}' AND originator_version = 2",
        "UPDATE stored_events SET state = (SELECT state FROM stored_events WHERE originator_id = '{account}' AND"
        " originator_version = 1) WHERE originator_id = '{account}' AND originator_version = 2",
        "UPDATE ledger SET entry = CAST(substr(entry, 1, 40) || zeroblob(32) || substr(entry, 73) AS BLOB)"
        " WHERE substr(entry, 17, 16) = x'{account}' AND substr(entry, 33, 8) = x'0000000000000002'",
    ],
    ids=["altered", "deleted", "older version", "chain cut"],
)
def test_a_clinic_whose_accounts_were_altered_does_not_open(doors: Doors, damage: str) -> None:
    account, _ = copy_of_a_token(doors)
    doors.outside(damage.format(account=account.hex))

    with pytest.raises(IntegrityFailure):
        doors.reopen()


def test_no_clear_table_holds_accounts(checked: Doors) -> None:
    token, _ = checked.token_for(checked.therapist)
    checked.close()

    content = b"".join(file.read_bytes() for file in checked.data.iterdir())
    connection = sqlite3.connect(checked.clinic.paths.database)
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    assert names == {
        "stored_events",
        "ledger",
        "log_bodies",
        "log_tiles",
        "checkpoints",
        "sealed_rows",
        "idempotency",
        "audit_index",
        "audit_position",
    }
    for shown in (b"Jo Lind", b"therapist", token.encode(), checked.service.token_digest(token)):
        assert shown not in content
    checked.open()


def test_a_token_serves_at_the_doors(checked: Doors) -> None:
    client = checked.client()
    token, _ = checked.token_for(checked.therapist)
    actor = checked.service.authenticate(token, "203.0.113.9")
    assert actor is not None
    checked.read(client, checked.ask(actor), purpose=Purpose.TREAT)

    assert checked.access(client)[0].address == "203.0.113.9"


def test_a_clinic_whose_last_account_entry_was_cut_out_does_not_open(doors: Doors) -> None:
    account = UUID(doors.therapist.id)
    doors.service.transact(account, disable_account, doors.operator)
    doors.client()
    version = doors.store.history(account)[-1].version
    doors.outside(
        f"DELETE FROM ledger WHERE substr(entry, 17, 24) = x'{account.hex}{version:016x}'",
        f"DELETE FROM stored_events WHERE originator_id = '{account.hex}' AND originator_version = {version}",
    )

    with pytest.raises(IntegrityFailure):
        doors.reopen()


def test_a_row_that_no_entry_names_stops_nothing_and_is_told(doors: Doors) -> None:
    doors.outside(
        "INSERT INTO stored_events (originator_id, originator_version, topic, state)"
        f" VALUES ('{uuid4().hex}', 1, 'sealed', x'01')"
    )
    told: list[tuple[str, dict[str, object]]] = []
    require_whole(doors.store, lambda code, facts: told.append((code, facts)))
    assert told == [("stray-rows", {"rows": 1})]
