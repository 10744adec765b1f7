"""Records that are lost: counted each, told once a cause until writing works again."""

from __future__ import annotations

from agentproxy.records.book import Told

_MOST_CAUSES = 20


class Troubles:
    """
    :ivar lost: records that were not written.
    :ivar given_up: whether records were lost since writing worked last: then later ones are not tried for long.
    """

    def __init__(self, told: Told) -> None:
        self.lost = 0
        self.given_up = False
        self._told = told
        self._causes: set[str] = set()
        self._refused: set[str] = set()
        self._dropped = self._before = 0

    @property
    def known(self) -> bool:
        """Whether something is told that is not over."""
        return bool(self._causes)

    def lose(self, why: str, count: int) -> None:
        """So many are lost, until writing works again."""
        self.lost += count
        self.given_up = self.given_up or count > 0
        self._tell(self._causes, why, count)

    def refuse(self, why: str) -> None:
        """One is lost by what is in it: as much may come with each, so a reason is told only once."""
        self.lost += 1
        self._tell(self._refused, why, 1)

    def over(self, dropped: int) -> None:
        """Writing works; it is over when nothing was dropped meanwhile because more came than was written."""
        self.given_up = False
        self._dropped += dropped
        if dropped:
            self._tell(self._causes, "more records came than could be written", dropped)
            return
        if self._causes:
            self._causes.clear()
            self._told("record.back", "info", lost=self.lost + self._dropped - self._before)
        self._before = self.lost + self._dropped

    def _tell(self, known: set[str], why: str, count: int) -> None:
        if why not in known and len(known) < _MOST_CAUSES:
            known.add(why)
            self._told("record.lost", "error", why=why, count=count)
