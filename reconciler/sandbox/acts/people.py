"""What staff and nightly jobs do to user records."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from reconciler.sandbox.acts.log import ActRefused, Staffed, act
from reconciler.sandbox.records import Block, User
from reconciler.sandbox.rules import accounts
from reconciler.sandbox.view import View


class PeopleActs(Staffed):
    """`user` is any identifier of the user."""

    @act
    def block_user(
        self, user: str, description: str = "Overdue items", note: str = "", code: str = "401163"
    ) -> User:
        """`code` is what a loan is refused with: 401163 or 401201 (alma-api.md 4.3)."""
        row = self._user(user)
        block = Block("LOAN", description, note, created_at=self.now(), code=code)
        return self.change(row, blocks=(*row.blocks, block))

    @act
    def unblock_user(self, user: str) -> User:
        return self.change(self._user(user), blocks=())

    @act
    def expire_user(self, user: str, on: date | None = None) -> User:
        """The card expires on a day; by default it expired yesterday."""
        return self.change(self._user(user), expiry_date=on or self.today() - timedelta(days=1))

    @act
    def deactivate_user(self, user: str) -> User:
        return self.change(self._user(user), status="INACTIVE")

    @act
    def remove_patron_role(self, user: str) -> User:
        row = self._user(user)
        return self.change(row, roles=tuple(role for role in row.roles if role != "200"))

    @act
    def edit_user_group(self, user: str, group: str) -> User:
        """Edited by hand: an API update of an EXTERNAL user no longer changes it (2.4)."""
        row = self._user(user)
        if not self.legal("UserGroups", group):
            raise ActRefused(f"no user group {group} in {self.code}")
        edited = row.edited_by_hand | {"user_group"}
        return self.change(row, user_group=group, edited_by_hand=edited)

    @act
    def rename_user(self, user: str, primary_id: str) -> User:
        """The primary id changes; requests and loans follow the user."""
        if View(self).find_user(primary_id) is not None:
            raise ActRefused(f"{primary_id} is taken in {self.code}")
        return self.change(self._user(user), primary_id=primary_id)

    @act
    def merge_users(self, keep: str, lose: str) -> User:
        """`lose` disappears; its requests, loans and identifiers are `keep`'s now."""
        kept, lost = self._user(keep), self._user(lose)
        if kept.key == lost.key:
            raise ActRefused("a user cannot be merged into itself")
        for request in self.requests.rows():
            if request.user_key == lost.key:
                self.change(request, user_key=kept.key)
        for loan in self.loans.rows():
            if loan.user_key == lost.key:
                self.change(loan, user_key=kept.key)
        self.drop(lost)
        identifiers = dict.fromkeys((*kept.identifiers, *lost.identifiers))
        return self.change(kept, identifiers=tuple(identifiers))

    @act
    def delete_user(self, user: str) -> None:
        """Refused (401850) while loans are open, as in Alma."""
        accounts.delete_user(self, self._user(user))

    @act
    def anonymise(self, ended_for: timedelta = timedelta(0)) -> int:
        """The nightly job: completed loans lose their users, closed requests vanish (1.6).

        `ended_for`: only what has been over for so long; a library sets that.
        """
        count, before = 0, self.now() - ended_for
        for loan in self.loans.rows():
            if loan.return_date and loan.return_date <= before and loan.user_key:
                self.save(replace(loan, user_key=""))
                count += 1
        for request in self.requests.rows():
            over = request.closed_at is not None and request.closed_at <= before
            if over and not request.forgotten:
                self.save(replace(request, forgotten=True, user_key=""))
                count += 1
        return count
