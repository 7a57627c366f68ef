"""The private server."""

import shutil
import stat
import tempfile
from pathlib import Path
from unittest import SkipTest

import pymysql
from twisted.trial.unittest import SynchronousTestCase

from spire.database.connector import connect
from spire.database.private import PrivateMariaDB, PrivateServerError, find_server


class PrivateServerTests(SynchronousTestCase):
    """Made, started, killed, found again."""

    def setUp(self) -> None:
        if find_server() is None:
            raise SkipTest("no MariaDB server is installed: apt-get install mariadb-server-core")
        self.directory = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def make(self) -> PrivateMariaDB:
        """Return the server of this directory, as a new process would see it."""
        server = PrivateMariaDB(
            self.directory / "data", self.directory / "socket", buffer_pool_megabytes=16, is_durable=False
        )
        self.addCleanup(server.kill)
        return server

    def test_a_life(self) -> None:
        """Everything may be said twice, also by another process, and what was committed survives a kill."""
        server = self.make()
        self.assertFalse(server.is_running)
        server.initialise()
        server.initialise()
        pid = server.start()
        self.assertEqual(self.make().start(), pid)
        self.assertEqual(stat.S_IMODE((self.directory / "socket").stat().st_mode), 0o700)
        self.assertEqual(stat.S_IMODE((self.directory / "data").stat().st_mode), 0o700)

        password = server.create_schema("spi_re", "somebody")
        with (
            connect(
                unix_socket=str(server.socket_path),
                connect_timeout=5,
                user="somebody",
                password=password,
                database="spi_re",
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("CREATE TABLE t (id INT)")
            cursor.execute("INSERT INTO t VALUES (7)")
            connection.commit()
            cursor.execute("SELECT @@skip_networking")
            self.assertEqual(cursor.fetchone(), (1,))
            self.assertRaises(pymysql.MySQLError, cursor.execute, "CREATE DATABASE spixre")
        self.assertEqual(server.create_schema("spi_re", "somebody", password), password)
        commands = Path(f"/proc/{pid}/cmdline").read_bytes()
        self.assertNotIn(password.encode(), commands)

        server.kill()
        self.assertFalse(server.is_running)
        again = self.make()
        again.start()
        with (
            connect(
                unix_socket=str(again.socket_path),
                connect_timeout=5,
                user="somebody",
                password=password,
                database="spi_re",
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("SELECT id FROM t")
            self.assertEqual(cursor.fetchone(), (7,))
        self.make().stop()
        self.make().stop()
        self.assertFalse(again.is_running)

    def test_a_directory_that_holds_something_else_is_left_alone(self) -> None:
        """Nobody's files are removed."""
        (self.directory / "data").mkdir()
        (self.directory / "data" / "letter").write_text("dear")
        self.assertRaises(PrivateServerError, self.make().initialise)
        self.assertEqual((self.directory / "data" / "letter").read_text(), "dear")

    def test_a_half_made_directory_is_made_anew(self) -> None:
        """A set-up that was interrupted may be run again."""
        (self.directory / "data" / "mysql").mkdir(parents=True)
        (self.directory / "data" / "spire-initialising").touch()
        server = self.make()
        server.initialise()
        self.assertGreater(server.start(), 0)

    def test_a_path_too_long_for_a_socket_is_refused(self) -> None:
        """The system would only say that it cannot connect."""
        self.assertRaises(ValueError, PrivateMariaDB, self.directory, Path("/tmp") / ("x" * 100))

    def test_the_names_of_administrators_are_refused_for_a_schema(self) -> None:
        """The servers' user has rights on its schema alone."""
        self.assertRaises(PrivateServerError, self.make().create_schema, "spire", "root")
