"""Backs the site up, checks what it made by reading it back, and restores it.

It runs on the server with nothing but the distribution's Python, so that a host whose collector is broken can still be
backed up and restored. A backup is a folder, named by its time in UTC:

    manifest.json   when, where, of which server version; each table's rows and checksum
    database.dump   pg_dump's custom format, compressed
    roles.sql       the roles that own or may see something of the database, with their passwords' verifiers
    settings.sql    the database's own rights and settings
    grafana.db.gz   Grafana's SQLite database
    files.tar.gz    secrets that are kept on the server, certificates
    SHA256SUMS      of all of these, for sha256sum --check
"""
