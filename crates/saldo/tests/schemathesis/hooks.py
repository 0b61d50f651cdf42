"""What schemathesis can't know from the document: ids that exist, and rules that a schema has no words for."""

import base64
import os
import uuid

import schemathesis
from hypothesis import strategies as st

IDS = os.environ["SALDO_IDS"].split(",")


def key_of(token):
    """The id of the key that a token or the public half of a pair is of: behind four bytes that say the book."""
    text = token.removeprefix("saldo_pk_").removeprefix("saldo_")
    return str(uuid.UUID(bytes=base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))[4:20]))


# Who revokes or rotates these sees nothing from then on, or a while later.
KEYS = {
    key_of(os.environ[name])
    for name in ("SALDO_NATIVE_TOKEN", "SALDO_CONDUIT_KEY", "SALDO_MAGICLINE_KEY", "SALDO_LIGHT_KEY")
}
ZONES = ["Europe/Berlin", "America/New_York", "UTC", "Asia/Tokyo"]

schemathesis.openapi.format("iana-time-zone", st.sampled_from(ZONES))
# Years that four digits hold in every offset, which Python's times don't promise.
schemathesis.openapi.format(
    "date-time",
    st.datetimes().filter(lambda at: 1 < at.year < 9999).map(lambda at: at.isoformat() + "Z"),
)
# Half of all ids name something: else nearly every answer would be 404.
schemathesis.openapi.format("uuid", st.one_of(st.uuids().map(str), st.sampled_from(IDS)))


@schemathesis.hook
def before_call(context, case, kwargs):
    """Makes good requests keep the rules that stand in the document's texts alone. Bad ones stay as they are."""
    headers = case.headers if case.headers is not None else {}
    # A position that is far ahead is waited for, and then it is 503 by design; another's book is refused.
    waits = str(headers.get("Saldo-Min-Position", ""))
    if waits.isdigit() and len(waits) < 20 and int(waits) > 1:
        headers["Saldo-Min-Position"] = "1"
    if str((case.query or {}).get("wait", "")).isdigit():
        # So long it would be waited for.
        case.query["wait"] = "1"
    ends = case.method == "DELETE" or case.path.endswith("/rotate")
    if ends and (case.path_parameters or {}).get("id") in KEYS:
        case.path_parameters["id"] = str(uuid.uuid4())
    meta = case.meta
    if meta is None or not meta.generation.mode.is_positive:
        return
    if "/card-balance-accounts/" in case.path and not is_uuid(case.path_parameters["accountId"]):
        # An id out of another format's answer, in that format's spelling, whatever the pattern of this one.
        case.path_parameters["accountId"] = str(uuid.uuid4())
    headers.pop("Saldo-Book", None)
    query = case.query or {}
    if "position" in query:
        query.pop("recordedAt", None)
        query.pop("effectiveAt", None)
    if isinstance(case.body, (dict, list)):
        case.body = whole(case.body)
    if not isinstance(case.body, dict):
        return
    if case.path.endswith("/transactions/batch") and case.body.get("atomic") is not True:
        # For batches that are not atomic each transaction's id is its key.
        headers.pop("Idempotency-Key", None)
    if case.path.endswith(("/keys", "/rotate")) and "expiresAt" in case.body:
        case.body["expiresAt"] = "2099-01-01T00:00:00Z"
    if "limits" in case.body:
        # Each asset once; credit without end is for `internal` accounts.
        limits = {limit["asset"]: limit for limit in case.body["limits"]}
        for limit in limits.values():
            if limit.get("credit") == "unlimited":
                limit["credit"] = "0"
        case.body["limits"] = list(limits.values())


def is_uuid(text):
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def whole(value):
    """22.0 is an integer to JSON Schema; here whole numbers are written without a point."""
    if isinstance(value, dict):
        return {name: whole(inner) if name != "metadata" else inner for name, inner in value.items()}
    if isinstance(value, list):
        return [whole(inner) for inner in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
