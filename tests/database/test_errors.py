"""Errors by code, addresses, and the bytes of a journal."""

import pymysql
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.database.address import DatabaseAddress
from spire.database.connector import Login
from spire.database.errors import (
    MissingReference,
    NotUnique,
    StoreBusy,
    StoreDown,
    StoreError,
    StoreFault,
    StoreTimeout,
    TooLong,
    store_error,
)
from spire.database.frames import (
    FileHeader,
    Found,
    Frame,
    decode_frame,
    decode_header,
    encode_frame,
    encode_header,
)
from spire.values.environment import Environment
from spire.values.time import Timestamp


class ClassificationTests(SynchronousTestCase):
    """The driver's classes say little, its codes say all."""

    def check(self, error: BaseException, kind: type[StoreError]) -> None:
        """Expect exactly this kind."""
        self.assertIs(type(store_error(error)), kind)

    def test_collisions_are_busy(self) -> None:
        """Deadlock, lock wait, changed row, lock not to be had."""
        for code in (1213, 1205, 1020, 3572):
            self.check(pymysql.OperationalError(code, "again"), StoreBusy)

    def test_lost_and_missing_servers_are_down(self) -> None:
        """Also a socket that fails on its own, and a connection used after it broke."""
        for code in (2003, 2006, 2013, 1040, 1053, 1927, 1047, 1290, 4031):
            self.check(pymysql.OperationalError(code, "gone"), StoreDown)
        self.check(pymysql.InterfaceError(0, ""), StoreDown)
        self.check(ConnectionRefusedError(111, "Connection refused"), StoreDown)

    def test_silence_is_a_timeout(self) -> None:
        """By the client's patience or by the server's."""
        self.check(pymysql.OperationalError(2013, "Lost connection (timed out)"), StoreTimeout)
        self.check(pymysql.OperationalError(3024, "execution time exceeded"), StoreTimeout)
        self.check(TimeoutError(), StoreTimeout)

    def test_what_the_data_does_has_its_own_kinds(self) -> None:
        """Whatever class the driver chose."""
        self.check(pymysql.IntegrityError(1062, "Duplicate entry"), NotUnique)
        self.check(pymysql.OperationalError(1452, "foreign key"), MissingReference)
        self.check(pymysql.DataError(1406, "too long"), TooLong)
        self.check(pymysql.DataError(1264, "out of range"), TooLong)

    def test_the_rest_is_a_fault(self) -> None:
        """Our SQL, the set-up, the password."""
        for code in (1045, 1049, 1054, 1064, 1146):
            self.check(pymysql.OperationalError(code, "wrong"), StoreFault)
        self.check(pymysql.ProgrammingError("closed"), StoreFault)

    def test_a_login_does_not_show_its_password(self) -> None:
        """Not even in a traceback's locals."""
        self.assertNotIn("hunter2", repr(Login(user="u", password="hunter2", schema="s")))


class AddressTests(SynchronousTestCase):
    """Where servers listen."""

    def test_addresses_are_read_and_written_back(self) -> None:
        """Sockets, names, IPv6."""
        for text in ("unix:/run/spire/mariadb.sock", "db.example:3307", "10.0.0.1:3306", "[::1]:3306"):
            self.assertEqual(str(DatabaseAddress.parse(text)), text)
        self.assertEqual(DatabaseAddress.parse("db.example").port, 3306)

    def test_anything_else_is_refused(self) -> None:
        """With a sentence that says what is expected."""
        for text in ("", "unix:relative", "host:", "host:0", "host:65536", "host:x", ":3306", "unix:/" + "x" * 120):
            self.assertRaises(ValueError, DatabaseAddress.parse, text)


class FrameTests(SynchronousTestCase):
    """The journal's bytes."""

    @given(
        payload=st.binary(max_size=200), position=st.integers(1, 2**63), more=st.booleans(), flip=st.integers(0, 1848)
    )
    @settings(max_examples=150)
    def test_any_flipped_bit_is_found(self, payload: bytes, position: int, more: bool, flip: int) -> None:
        """A frame comes back as it was, or not at all."""
        data = bytearray(b"x" * 70 + encode_frame(payload, position=position, time=Timestamp(5), group=64, more=more))
        found = decode_frame(bytes(data), 70)
        frame = Frame(payload=payload, position=position, time=Timestamp(5))
        self.assertEqual(found, Found(frame=frame, group=64, end=len(data), more=more))
        flip %= 8 * (len(data) - 70)
        data[70 + flip // 8] ^= 1 << flip % 8
        self.assertIsNone(decode_frame(bytes(data), 70))

    def test_a_header_says_whose_the_file_is(self) -> None:
        """And is refused when it is damaged or of another version."""
        header = FileHeader(environment=Environment.DEMO, epoch=3, first_position=77, time=Timestamp(9))
        data = encode_header(header)
        self.assertEqual(decode_header(data), header)
        for index in range(len(data)):
            damaged = bytearray(data)
            damaged[index] ^= 1
            self.assertRaises(ValueError, decode_header, bytes(damaged))
        self.assertRaises(ValueError, decode_header, data[:-1])
