"""What a developer needs beside the collector: a PostgreSQL without an installation, and `make run`. Not deployed."""
