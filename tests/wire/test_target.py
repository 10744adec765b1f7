"""Request targets: the base path goes before them once, and credentials go out of their query, nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.wire.target import with_base, without_parameters
from tests.wire.splits import PROPERTY

NAMES = frozenset({b"key", b"apikey", b"api_key", b"access_token"})

OTHERS = [b"", b"a", b"a=1", b"a=key", b"=key", b"=", b"monkey=1", b"key2=1", b"keys=1", b"x-key=1", b"pageToken=%2B+"]
OTHERS += [b"alt=sse", b"a=b=key=1", b"%256Bey=1", b"ke%zzy=1", b"%C5%BFkey=1", b"k%20ey=1", b"a;key=1", b"a=%26key=1"]
CREDENTIALS = [b"key=1", b"key", b"key=", b"KEY=1", b"%6Bey=1", b"%6b%65%79=1", b"%4bEY=1", b"apiKey=1", b"API_KEY=x"]
CREDENTIALS += [b"+key=1", b"key+=1", b"%20key%09=1", b"api%5Fkey=1", b"access_token=a=b", b"Access%5fToken", b"key=?"]


class Base(SynchronousTestCase):
    def test_v1(self) -> None:
        """`/v1` goes before what does not begin with it, by whole segments."""
        for target, expected in (
            (b"/responses", b"/v1/responses"),
            (b"/v1/responses", b"/v1/responses"),
            (b"/v1", b"/v1"),
            (b"/v1/", b"/v1/"),
            (b"/v1?x=/v2", b"/v1?x=/v2"),
            (b"/v1beta/x", b"/v1/v1beta/x"),
            (b"/v1.0", b"/v1/v1.0"),
            (b"/v10", b"/v1/v10"),
            (b"/v1;a/x", b"/v1/v1;a/x"),
            (b"/V1/x", b"/v1/V1/x"),
            (b"/%761/x", b"/v1/%761/x"),
            (b"/", b"/v1/"),
            (b"/?a", b"/v1/?a"),
            (b"/x/v1/y?z", b"/v1/x/v1/y?z"),
            (b"/x?a=/v1/", b"/v1/x?a=/v1/"),
        ):
            self.assertEqual(with_base(b"/v1", target), expected)

    def test_longer(self) -> None:
        """A base of more segments must be there whole."""
        base = b"/backend-api/codex"
        for target, expected in (
            (b"/responses", base + b"/responses"),
            (base + b"/responses", base + b"/responses"),
            (base, base),
            (b"/backend-api/x", base + b"/backend-api/x"),
            (b"/backend-api/codex2", base + b"/backend-api/codex2"),
        ):
            self.assertEqual(with_base(base, target), expected)

    def test_none(self) -> None:
        """Without a base a target stays as it is."""
        for target in (b"/", b"/v1", b"/x?y"):
            self.assertEqual(with_base(b"", target), target)

    def test_twice(self) -> None:
        """What has its base gets no second one."""
        for target in (b"/", b"/x", b"/v1beta", b"/v1", b"/?q"):
            once = with_base(b"/v1", target)
            self.assertEqual(with_base(b"/v1", once), once)


class Parameters(SynchronousTestCase):
    def test_credentials_go(self) -> None:
        """Each way to write a credential's name that a lenient server reads as it, alone or among others."""
        for part in CREDENTIALS:
            for query, left in (
                (part, b""),
                (part + b"&a=1", b"?a=1"),
                (b"a=1&" + part, b"?a=1"),
                (b"a=1&" + part + b"&b=%20", b"?a=1&b=%20"),
                (part + b"&" + part, b""),
                (b"&" + part + b"&", b"?&"),
            ):
                self.assertEqual(without_parameters(b"/x?" + query, NAMES), b"/x" + left)

    def test_others_stay(self) -> None:
        """Other parameters stay byte for byte, odd ones too; a name is compared decoded once, as a server does."""
        for part in OTHERS:
            for target in (b"/x?" + part, b"/x?a=1&" + part, b"/x?" + part + b"&&b"):
                self.assertEqual(without_parameters(target, NAMES), target)

    def test_path_stays(self) -> None:
        """Only the query is looked at, from its first question mark on."""
        for target in (b"/key=1", b"/key", b"/x&key=1", b"/x%3Fkey=1", b"/x;key=1?a"):
            self.assertEqual(without_parameters(target, NAMES), target)
        self.assertEqual(without_parameters(b"/x?a?key=1", NAMES), b"/x?a?key=1")

    def test_no_names(self) -> None:
        """A kind without query credentials changes nothing."""
        self.assertEqual(without_parameters(b"/x?key=1", frozenset()), b"/x?key=1")

    @PROPERTY
    @given(st.lists(st.sampled_from([(part, True) for part in OTHERS] + [(part, False) for part in CREDENTIALS])))
    def test_any(self, parts: list[tuple[bytes, bool]]) -> None:
        """Whatever stands together, the others are left, in order, as they were."""
        target = b"/x?" + b"&".join(part for part, _ in parts)
        kept = [part for part, stays in parts if stays]
        if not parts:
            kept = [b""]
        expected = b"/x?" + b"&".join(kept) if kept else b"/x"
        self.assertEqual(without_parameters(target, NAMES), expected)
