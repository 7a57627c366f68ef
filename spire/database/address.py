"""Where a MySQL server listens: `unix:/path/to/socket` or `host:port`."""

from attrs import frozen

# A unix socket's path ends up in a field of 108 bytes with a zero at its end.
SOCKET_PATH_BYTES = 107


@frozen(kw_only=True)
class DatabaseAddress:
    """One server: either `socket_path`, or `host` and `port`."""

    socket_path: str = ""
    host: str = ""
    port: int = 3306

    @classmethod
    def parse(cls, text: str) -> "DatabaseAddress":
        """Read `unix:/path`, `host`, `host:port` or `[v6]:port`; ValueError otherwise."""
        if text.startswith("unix:"):
            path = text.removeprefix("unix:")
            if not path.startswith("/"):
                raise ValueError(f"the path of a unix socket must be absolute, is {path!r}")
            check_socket_path(path)
            return cls(socket_path=path)
        host, separator, port = text.rpartition(":")
        if text.endswith("]") or not separator:
            host, port = text, "3306"
        host = host.removeprefix("[").removesuffix("]")
        if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError(f"must be unix:/path or host:port, is {text!r}")
        return cls(host=host, port=int(port))

    def __str__(self) -> str:
        if self.socket_path:
            return f"unix:{self.socket_path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def check_socket_path(path: str) -> None:
    """Raise ValueError for a path that is too long for a unix socket."""
    if len(path.encode()) > SOCKET_PATH_BYTES:
        raise ValueError(
            f"{path} is longer than {SOCKET_PATH_BYTES} bytes: too long for a unix socket; use a shorter one"
        )
