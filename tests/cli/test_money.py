"""Micro-dollars as dollars, exactly."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.cli.money import money, places


class MoneyTests(SynchronousTestCase):
    def test_amounts(self) -> None:
        """Four decimals where they tell it exactly, else six."""
        for micro, text in (
            (None, "?"), (0, "$0.0000"), (1, "$0.000001"), (100, "$0.0001"), (12300, "$0.0123"), (12345, "$0.012345"),
            (1_500_000, "$1.5000"), (1_234_567_890_000, "$1,234,567.8900"), (-250_000, "-$0.2500"),
            (2**63 - 1, "$9,223,372,036,854.775807"),
        ):  # fmt: skip
            with self.subTest(micro):
                self.assertEqual(money(micro), text)

    def test_column(self) -> None:
        """A column has as many decimals as its finest amount needs."""
        self.assertEqual(places([100, None, 200]), 4)
        self.assertEqual(places([100, 1]), 6)
        self.assertEqual(places([]), 4)
        self.assertEqual(money(12300, 6), "$0.012300")

    def test_partly(self) -> None:
        """Where some prices are not known, it is that much at least."""
        self.assertEqual(money(120000, partly=True), ">= $0.1200")
        self.assertEqual(money(None, partly=True), "?")

    @given(st.integers(-(2**63), 2**63 - 1))
    def test_exact(self, micro: int) -> None:
        """Nothing is lost, however much it is."""
        text = money(micro).replace("$", "").replace(",", "")
        self.assertEqual(Decimal(text) * 1_000_000, micro)
