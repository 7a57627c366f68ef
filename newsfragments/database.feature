A database floor gives rooms named transactions that survive deadlocks and outages, migrations, a crash-safe journal, an ordered writer with fencing and a private MariaDB server.
