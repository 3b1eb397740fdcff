"""/users and /users/{user_id} (alma-api.md 2)."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote

from reconciler.sandbox.api.call import NO_CONTENT, Answer, Call, find_user, list_answer
from reconciler.sandbox.errors import refusal
from reconciler.sandbox.payloads.user import user_row, user_tree
from reconciler.sandbox.records import User
from reconciler.sandbox.rules import accounts

_SEARCHED: dict[str, Callable[[User], list[str]]] = {
    "primary_id": lambda user: [user.primary_id],
    "first_name": lambda user: [user.first_name],
    "last_name": lambda user: [user.last_name],
    "email": lambda user: list(user.emails),
    "identifiers": lambda user: [one.value for one in user.identifiers],
    "user_group": lambda user: [user.user_group],
}


def search(call: Call) -> Answer:
    """`q=field~words`, a word search on an index: not exact, and no field for external_id."""
    users = [user for user in call.view.tenant.users.rows(call.view.at) if _matches(call, user)]
    users.sort(key=lambda user: (user.last_name, user.first_name, user.primary_id))
    full = "full" in call.expand
    renderer = call.renderer

    return list_answer(
        call, "user", users, lambda u: user_tree(renderer, u) if full else user_row(renderer, u)
    )


def get(call: Call, user_id: str) -> Answer:
    user = find_user(call, user_id, "401861")
    return Answer(200, "user", user_tree(call.renderer, user, call.expand))


def create(call: Call) -> Answer:
    user = accounts.create_user(call.tenant, call.json())
    return Answer(200, "user", user_tree(call.renderer, user))


def update(call: Call, user_id: str) -> Answer:
    user = find_user(call, user_id)
    override = frozenset(call.text("override").split(","))
    changed = accounts.update_user(call.tenant, user, call.json(), override)
    return Answer(200, "user", user_tree(call.renderer, changed))


def delete(call: Call, user_id: str) -> Answer:
    accounts.delete_user(call.tenant, find_user(call, user_id))
    return NO_CONTENT


def operate(call: Call, user_id: str) -> Answer:
    """op=auth checks a password (header Exl-User-Pw, URL-encoded); op=refresh has no network."""
    operation = call.choice("op", ("auth", "refresh"))
    user = find_user(call, user_id, "401861")
    if operation == "refresh":
        raise refusal("60229")
    sent = call.headers.get("exl-user-pw") or call.text("password")
    if not user.password or unquote(sent) != user.password:
        raise refusal("401866")
    return NO_CONTENT


def _matches(call: Call, user: User) -> bool:
    field, tilde, words = call.text("q").partition("~")
    if not tilde:
        return True
    if field == "ALL":
        values = [value for read in _SEARCHED.values() for value in read(user)]
    elif field in _SEARCHED:
        values = _SEARCHED[field](user)
    else:
        raise refusal("402119")
    text = " ".join(values).casefold()
    return all(word in text for word in words.replace("_", " ").casefold().split())
