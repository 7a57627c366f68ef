"""The name of a series of candles."""

from twisted.trial.unittest import SynchronousTestCase

from spire.charting.values import CandleTopic, Eligibility


class CandleTopicTests(SynchronousTestCase):
    """A series has one name and a name one series."""

    def test_a_name_reads_back_as_its_series(self) -> None:
        """Text and value are the same thing."""
        topic = CandleTopic(instrument_id=7, interval=60 * 10**9, eligibility=Eligibility.CONSOLIDATED)
        self.assertEqual(str(topic), "candles/7/60000000000/CONSOLIDATED")
        self.assertEqual(CandleTopic.parse(str(topic)), topic)

    def test_one_series_has_no_second_name(self) -> None:
        """Zeros in front would make a series of its own of each."""
        for name in ("candles/07/60000000000/ALL", "candles/7/060000000000/ALL", "candles/\u0667/60000000000/ALL"):
            self.assertRaises(ValueError, CandleTopic.parse, name)

    def test_an_interval_of_36_hours_is_refused(self) -> None:
        """It has no place in a calendar."""
        error = self.assertRaises(ValueError, CandleTopic.parse, "candles/7/129600000000000/ALL")
        self.assertIn("whole days", str(error))

    def test_an_unknown_eligibility_is_refused_with_those_that_exist(self) -> None:
        """The message says what to write instead."""
        error = self.assertRaises(ValueError, CandleTopic.parse, "candles/7/60000000000/SOME")
        self.assertIn("ALL, CONSOLIDATED", str(error))

    def test_an_interval_of_nothing_is_refused(self) -> None:
        """Zero nanoseconds would never end."""
        self.assertRaises(ValueError, CandleTopic.parse, "candles/7/0/ALL")

    def test_another_topic_is_refused(self) -> None:
        """Charting serves candles alone."""
        self.assertRaises(ValueError, CandleTopic.parse, "trade/7")
