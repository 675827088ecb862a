"""Headers: who asks, why, on which version, and with which retry key.

Source: RFC 6750 (bearer tokens), RFC 9110 (If-Match), HL7 v3 PurposeOfUse, the Idempotency-Key draft.

- A header is read strictly: If-Match is one strong tag as we give it, never `*` and never a list.
- A reason for an emergency is visible ASCII; other characters are percent-encoded as UTF-8 and decoded here.
- A token is at most 200 visible characters, so that nothing large is hashed.

They are read here and judged elsewhere.
"""

from __future__ import annotations

import re
from urllib.parse import unquote
from uuid import UUID

from flask import Request

from api.fields import UUID_PATTERN
from api.problems import Fault, Unacceptable
from records.actors import Purpose
from records.request import Plea

TOKEN = re.compile(r"Bearer +([\x21-\x7e]{1,200})", re.IGNORECASE)
KEY_PATTERN = r"^[\x21-\x7e]{1,128}$"
ETAG_PATTERN = r'^"[0-9]{1,15}"$'
REASON_PATTERN = r"^[!-~][ -~]*$"
REASON_LENGTH = 500
_KEY, _ETAG, _REASON = map(re.compile, (KEY_PATTERN, ETAG_PATTERN, REASON_PATTERN))
_ID = re.compile(UUID_PATTERN)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_PURPOSES = {purpose.value: purpose for purpose in Purpose}


def bearer_token(request: Request) -> str | None:
    """Return the token that was sent, or None where there is none that could be one."""
    found = TOKEN.fullmatch(request.headers.get("Authorization", ""))
    return found[1] if found else None


def purpose_of_use(request: Request) -> Purpose:
    """Return the stated purpose.

    Raises:
        Unacceptable: `purpose-missing`, also where it is none that is known.
    """
    purpose = _PURPOSES.get(request.headers.get("Purpose-Of-Use", ""))
    if purpose is None:
        raise Unacceptable("purpose-missing", [Fault("/header/Purpose-Of-Use", "Is missing or not known.")])
    return purpose


def pleads(request: Request) -> bool:
    """Tell whether a header of an emergency was sent."""
    return "Access-Reason" in request.headers or "Emergency-Access" in request.headers


def plea(request: Request, purpose: Purpose) -> Plea | None:
    """Return the reason and the grant of a reading in an emergency; None for any other reading.

    Raises:
        Unacceptable: `reason-missing`; `malformed` where a header cannot be read, whatever the purpose.
    """
    reason, access_id = request.headers.get("Access-Reason"), request.headers.get("Emergency-Access")
    if access_id is not None and _ID.match(access_id) is None:
        raise Unacceptable("malformed", [Fault("/header/Emergency-Access", "Is not the id of an emergency access.")])
    if reason is not None and (len(reason) > REASON_LENGTH or _REASON.match(reason) is None):
        raise Unacceptable(
            "malformed", [Fault("/header/Access-Reason", f"Is not 1 to {REASON_LENGTH} visible characters.")]
        )
    if purpose is not Purpose.ETREAT:
        return None
    if reason is None:
        raise Unacceptable("reason-missing", [Fault("/header/Access-Reason", "Is missing.")])
    words = _CONTROL.sub(" ", unquote(reason, errors="replace"))
    return Plea(words, UUID(access_id) if access_id is not None else None)


def if_match(request: Request) -> int | None:
    """Return the version that the caller read, or None where none is named.

    Raises:
        Unacceptable: it is no tag of ours.
    """
    tag = request.headers.get("If-Match")
    if tag is None:
        return None
    if _ETAG.match(tag) is None:
        raise Unacceptable("malformed", [Fault("/header/If-Match", 'Is not one tag such as "7".')])
    return int(tag[1:-1])


def idempotency_key(request: Request) -> str | None:
    """Return the retry key; only a POST must have one.

    Raises:
        Unacceptable: it is missing, or not 1 to 128 visible characters.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None and request.method != "POST":
        return None
    if key is None or _KEY.match(key) is None:
        raise Unacceptable(
            "malformed", [Fault("/header/Idempotency-Key", "Is missing or not 1 to 128 visible characters.")]
        )
    return key
