"""Commands as bytes."""

from twisted.protocols import amp
from twisted.trial.unittest import SynchronousTestCase

from spire.wire.arguments import LONGEST_VALUE, Bytes, Integer
from spire.wire.boxes import BoxParser
from spire.wire.codec import codec_of, encode_push, error_box, error_in
from spire.wire.commands import Command
from spire.wire.errors import COMMON, Forbidden, Invalid, NotFound, Refused, error_of
from spire.wire.handshake import Authenticate, Goodbye, Heartbeat, Hello, Reauthenticate
from tests.wire.support import Add, Move, Point


def parsed(box: bytes) -> dict[bytes, bytes]:
    """Return the one box in `box`."""
    [found] = BoxParser(1 << 20).feed(box)
    return found


class GoldenTests(SynchronousTestCase):
    """The handshake's bytes stay what they are: servers of a release serve clients of the one before."""

    def test_hello(self) -> None:
        """A hello as protocol 1 writes it."""
        box = codec_of(Hello).request(
            b"1", {"protocol": 1, "environment": "DEMO", "service": "uid_service", "client_version": "v"}, b"c"
        )
        self.assertEqual(
            box,
            b"\0\x08_command\0\x05Hello\0\x04_ask\0\x011\0\x0ecorrelation_id\0\x01c"
            b"\0\x08protocol\0\x011\0\x0benvironment\0\x04DEMO\0\x07service\0\x0buid_service"
            b"\0\x0eclient_version\0\x01v\0\0",
        )

    def test_authenticate_and_its_renewal(self) -> None:
        """The two carry the same under their own names."""
        values = {"ticket": "t", "proof": b"p"}
        body = b"\0\x06ticket\0\x01t\0\x05proof\0\x01p\0\0"
        self.assertEqual(codec_of(Authenticate).request(None, values), b"\0\x08_command\0\x0cAuthenticate" + body)
        self.assertEqual(codec_of(Reauthenticate).request(None, values), b"\0\x08_command\0\x0eReauthenticate" + body)

    def test_heartbeat_and_goodbye(self) -> None:
        """The two pushes that every connection knows."""
        self.assertEqual(encode_push(Heartbeat), b"\0\x08_command\0\x09Heartbeat\0\0")
        self.assertEqual(
            encode_push(Goodbye, code="INVALID", message="m"),
            b"\0\x08_command\0\x07Goodbye\0\x04code\0\x07INVALID\0\x07message\0\x01m\0\0",
        )


class CodecTests(SynchronousTestCase):
    """Calls and answers are written and read by the command's declaration."""

    def test_a_call_comes_back(self) -> None:
        """Typed and optional arguments survive."""
        codec = codec_of(Move)
        box = parsed(codec.request(b"1", {"point": Point(x=1), "note": None}))
        self.assertEqual(codec.arguments(box), {"point": Point(x=1), "note": None})

    def test_plain_amp_reads_our_calls(self) -> None:
        """The dialect is AMP."""
        box = parsed(codec_of(Add).request(b"1", {"left": 1, "right": 2}, b"c-1"))
        self.assertEqual(Add.parseArguments(amp.AmpBox(box), None), {"left": 1, "right": 2})

    def test_an_unknown_argument_is_a_mistake_of_the_caller(self) -> None:
        """It does not travel silently nowhere."""
        with self.assertRaises(TypeError):
            codec_of(Add).request(b"1", {"left": 1, "right": 2, "middle": 3})

    def test_a_missing_argument_is_a_mistake_of_the_caller(self) -> None:
        """It is not sent as nothing."""
        with self.assertRaises(TypeError):
            codec_of(Add).request(b"1", {"left": 1})

    def test_a_value_beyond_amp_is_named(self) -> None:
        """65,535 bytes pass, one more does not."""

        class Bulk(Command):
            arguments = [(b"data", Bytes())]

        codec = codec_of(Bulk)
        self.assertEqual(len(parsed(codec.request(None, {"data": b"x" * LONGEST_VALUE}))[b"data"]), LONGEST_VALUE)
        error = self.assertRaises(Invalid, codec.request, None, {"data": b"x" * (LONGEST_VALUE + 1)})
        self.assertEqual(error.details["argument"], "data")

    def test_reserved_names_cannot_be_declared(self) -> None:
        """Keywords, underscores and the correlation id are not arguments."""
        for name in (b"_x", b"from", b"correlation_id"):
            kind = type("Odd", (Command,), {"arguments": [(name, Integer())]})
            self.assertRaises(ValueError, codec_of, kind)


class ErrorTests(SynchronousTestCase):
    """Refusals cross the wire as code, text and details."""

    def test_each_common_error_comes_back_as_its_class(self) -> None:
        """Code to class is one to one."""
        for code, kind in COMMON.items():
            error = error_in(parsed(error_box(b"1", kind("Do this.", order_id=5))))
            self.assertEqual((type(error), error.code, error.message), (kind, code, "Do this."))
            self.assertEqual(error.details, {"order_id": "5"})

    def test_a_services_own_code_comes_back_as_refused(self) -> None:
        """The code is kept."""
        error = error_in(parsed(error_box(b"1", Refused("SHORT_REQUIRED", "Sell short.", position=7))))
        self.assertIsInstance(error, Refused)
        self.assertEqual((error.coded, str(error)), ("SHORT_REQUIRED", "SHORT_REQUIRED: Sell short."))

    def test_an_error_of_plain_amp_is_understood(self) -> None:
        """Its unknown error is our internal one."""
        error = error_in({b"_error": b"1", b"_error_code": b"UNKNOWN", b"_error_description": b"Unknown Error"})
        self.assertEqual(error.coded, "INTERNAL")

    def test_broken_details_are_dropped(self) -> None:
        """The code still counts."""
        error = error_in({b"_error_code": b"FORBIDDEN", b"_error_description": b"No.", b"_error_details": b"\xc1"})
        self.assertEqual((type(error), error.details), (Forbidden, {}))

    def test_huge_details_are_left_out(self) -> None:
        """An error always fits its box."""
        box = parsed(error_box(b"1", NotFound("x" * 100_000, names="y" * 100_000)))
        self.assertEqual((b"_error_details" in box, len(box[b"_error_description"])), (False, 2_000))

    def test_error_of_takes_details(self) -> None:
        """Other lines of the platform use the same vocabulary."""
        self.assertEqual(error_of("NOT_FOUND", "No.", {"ticker": "X"}).details, {"ticker": "X"})
