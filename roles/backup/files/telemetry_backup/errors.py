"""What ends a command with exit code 1."""


class BackupError(Exception):
    """Something failed, or must not be done; the message is one sentence and names the remedy."""
