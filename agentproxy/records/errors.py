"""What can go wrong with a record store, for those who read one: each error's text is a sentence that a user reads."""

from __future__ import annotations


class NoRecords(Exception):
    """There is no record store to read here, or none that this version can read."""


class NotOurs(Exception):
    """The file is a database, but none that this version may write: something else's, or a newer version's."""


class Damaged(Exception):
    """The file is no database any more, or one that is broken inside."""


class BadCursor(ValueError):
    """What was given as a page's place is none that a page told."""


class AmbiguousSession(ValueError):
    """More than one session's id begins so."""
