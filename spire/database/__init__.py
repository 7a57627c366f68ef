"""MySQL behind one facade, migrations, the journal, the ordered writer and a private MariaDB."""
