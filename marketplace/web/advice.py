"""What somebody at a page does next when the market refuses something.

The hint of a problem speaks to programs. Where it names calls, fields or headers, a person reads
the words from here instead; every other hint serves both.
"""

from marketplace.api.problems import CATALOGUE

_RELOAD = "Load the page again: it shows what you can do now."

ADVICE = {
    "account_closed": "Load the page again: the task has ended.",
    "appealed_already": "Wait for the answer: your page of freezes shows it.",
    "bad_request": "Go back and try again.",
    "bid_changed": "Load the page again, and select it if the new amount suits you.",
    "body_too_large": "Send less at a time.",
    "busy": "Try again in a moment.",
    "checks_running": "Wait until they have ended; you will be notified.",
    "escrow_empty": "Load the page again: the task has ended.",
    "files_not_used": "Use the version; then its files are open to you.",
    "frozen": "Go on with what you have begun, and wait until it ends; or appeal, once.",
    "illegal_transition": _RELOAD,
    "insufficient_credits": "Lower the amount, or earn credits first; your wallet shows what you"
    " can spend.",
    "internal_error": "Try again later. If it stays, tell the staff the number of this request.",
    "invalid_cursor": "Begin again with the first page.",
    "invalid_token": "Open the link of the latest mail, or let another one be sent.",
    "max_charge_required": "Load the page again: it shows the price.",
    "money_read_only": "Nothing was written, and no limit of time runs meanwhile. You can read"
    " everything; try again later.",
    "nobody_to_write_to": "Ask while the task is open, or take part in it.",
    "not_eligible": "The terms of the task say whom it is for; look for another.",
    "not_found": "Check the address; what you may not see does not exist for you.",
    "not_permitted": _RELOAD,
    "not_sealed_yet": "Look again in a minute: blocks are sealed in the background.",
    "nothing_rejected": "A worker disputes a rejection, as long as it may deliver again.",
    "nothing_to_answer": "Load the list of appeals again: it was answered.",
    "notice_given": "Wait for its end, or cancel at once and pay the compensation.",
    "paid_from_escrow": "Give notice instead: the worker may then deliver for one lease more.",
    "permission_denied": "Sign in again and repeat it.",
    "price_changed": "Load the page again: it shows the price of now.",
    "quota_reached": "Come back tomorrow.",
    "reference_reused": "Load the page again and try once more.",
    "reported_already": "Wait for staff: your page of reports shows what became of it.",
    "resubmission_pending": "Wait until the time to deliver again has passed; the task shows it.",
    "seal_broken": "Tell the staff, please: they have to look at the books.",
    "terms_changed": "Load the page again, read the terms and claim then.",
    "throttled": "Wait a minute and try again.",
    "unknown_asset": "Search the assets for it.",
    "unknown_file": "The page of the version lists its files.",
    "unknown_version": "The page of the asset lists its versions.",
    "validation_error": "Correct what is named here and send it again.",
    "version_mismatch": "Load the page again and change it there.",
    "wrong_id_type": "Check the address.",
    "wrong_mode": "The terms of the task say who gets it.",
}
# What no page does: there is nothing to say to somebody who looks at one.
FOR_PROGRAMS_ALONE = frozenset(
    {
        "authentication_failed",
        "idempotency_key_reused",
        "if_match_required",
        "insufficient_scope",
        "invalid_idempotency_key",
        "length_required",
        "malformed_json",
        "method_not_allowed",
        "not_acceptable",
        "not_authenticated",
        "reply_expired",
        "unsupported_media_type",
    }
)


def advice_on(code: str) -> str:
    """Return what a person does about a problem; an empty string where nothing helps."""
    if code in FOR_PROGRAMS_ALONE or code not in CATALOGUE:
        return ""
    return ADVICE.get(code) or CATALOGUE[code].hint
