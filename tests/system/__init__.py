"""System tests: real processes, sockets and MariaDB."""
