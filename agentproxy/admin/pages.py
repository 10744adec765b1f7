"""The one resource of the admin port: lets the guard look first, finds the page, puts its answer into bytes."""

# twisted.web's server has no annotations.
# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from agentproxy.admin.answer import Answer, Asked, Stream, refusal
from agentproxy.admin.guard import Guard

OPEN = frozenset((b"/health", b"/ready"))
"""Paths that ask for no token: what watches the process need not know it."""

Page = Callable[[Asked], Answer | Stream | Deferred[Answer]]
"""A deferred answer is cancelled when who asked is gone."""


class Pages(Resource):
    """
    Answers a request by its path.

    :param pages: by their exact paths.
    :param trees: by what paths begin with; asked for what is no page.
    :param shown: the paths that a request for another is told.
    """

    isLeaf = True
    _log = Logger()

    def __init__(
        self, pages: Mapping[bytes, Page], guard: Guard, *, trees: Mapping[bytes, Page], shown: Sequence[str]
    ) -> None:
        super().__init__()
        self._pages = pages
        self._guard = guard
        self._trees = trees
        self._shown = list(shown)

    def render(self, request: Request) -> bytes | int:
        """The body, or that it comes later; everything else is set on the request."""
        try:
            answer = self._answer(request)
        except Exception:
            self._log.failure("an admin page failed")
            answer = _failed()
        if isinstance(answer, Deferred):
            self._later(request, answer)
            return NOT_DONE_YET
        if isinstance(answer, Answer):
            return _put(request, answer)
        _head(request, 200, answer.content_type)
        if request.method == b"HEAD":
            return b""
        channel: Any = request.channel
        channel.hold()
        answer.begin(request)
        return NOT_DONE_YET

    def _answer(self, request: Request) -> Answer | Stream | Deferred[Answer]:
        path: bytes = request.path
        refused = self._guard.refusal(request.requestHeaders, secure=bool(request.isSecure()), open=path in OPEN)
        if refused is not None:
            return refused
        page = self._pages.get(path) or next((self._trees[each] for each in self._trees if path.startswith(each)), None)
        if page is None:
            return refusal(404, "not_found", "there is no such page here", paths=self._shown)
        if request.method not in (b"GET", b"HEAD"):
            return refusal(405, "method_not_allowed", "use GET or HEAD", ("Allow", "GET, HEAD"))
        return page(Asked(path, request.uri.partition(b"?")[2], request.requestHeaders))

    def _later(self, request: Request, waiting: Deferred[Answer]) -> None:
        def put(answer: Answer) -> None:
            body = _put(request, answer)
            if body:
                request.write(body)
            request.finish()

        def failed(failure: Failure) -> None:
            if failure.check(CancelledError):
                return
            self._log.failure("an admin page failed", failure=failure)
            put(_failed())

        # Before the answer may come: one that is already there fires as soon as it is asked.
        request.notifyFinish().addErrback(lambda _: waiting.cancel())
        waiting.addCallbacks(put, failed)
        waiting.addErrback(lambda failure: self._log.failure("an admin page could not be sent", failure=failure))


def _failed() -> Answer:
    return refusal(500, "internal_error", "this page failed; the log says why")


def _put(request: Request, answer: Answer) -> bytes:
    """Set all but the body, and return that."""
    _head(request, answer.status, answer.content_type, answer.headers)
    request.setHeader("Content-Length", str(len(answer.body)))
    return b"" if request.method == b"HEAD" else answer.body


def _head(request: Request, status: int, content_type: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
    request.setResponseCode(status)
    for name, value in headers:
        request.setHeader(name, value)
    request.setHeader("Content-Type", content_type)
    request.setHeader("Cache-Control", "no-store")
    request.setHeader("X-Content-Type-Options", "nosniff")
