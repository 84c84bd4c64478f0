"""Asks a PostgreSQL whether a datasource's address, user and password work, with the standard library alone.

The messages are those of PostgreSQL's protocol 3.0; authentication is scram-sha-256, or trust.
"""

import base64
import hashlib
import hmac
import secrets
import socket
import ssl
import struct
from typing import Any


class PostgresError(Exception):
    """The server refused, or it is none; the message has its words."""


def check(source: dict[str, Any]) -> None:
    """Logs in as a datasource does and runs one small query. Raises PostgresError."""
    host, _, port = str(source["url"]).removeprefix("postgres://").partition(":")
    options = source.get("jsonData") or {}
    secret = source.get("secureJsonData") or {}
    try:
        with socket.create_connection((host, int(port or 5432)), timeout=10) as connection:
            session = _Session(_encrypted(connection, host, options))
            words = source.get("user"), options.get("database"), secret.get("password")
            session.start(*(str(word or "") for word in words))
            session.query("SELECT 1")
    except (OSError, ValueError) as error:
        raise PostgresError(f"no PostgreSQL at {host}:{port}: {error}") from error


def _encrypted(connection: socket.socket, host: str, options: dict[str, Any]) -> socket.socket:
    """The connection as the datasource's sslmode wants it."""
    mode = options.get("sslmode")
    if mode == "disable":
        return connection
    connection.sendall(struct.pack("!ii", 8, 80877103))
    if connection.recv(1) != b"S":
        raise PostgresError("SSL is not enabled on the server")
    context = ssl.create_default_context(cafile=options.get("sslRootCertFile"))
    context.check_hostname = mode == "verify-full"
    if mode == "require":
        context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connection, server_hostname=host)


class _Session:
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._stream = connection.makefile("rb")

    def start(self, user: str, database: str, password: str) -> None:
        body = b"".join(f"{word}\0".encode() for word in ("user", user, "database", database)) + b"\0"
        self._connection.sendall(struct.pack("!ii", len(body) + 8, 196608) + body)
        kind, answer = self._receive()
        method = struct.unpack("!i", answer[:4])[0]
        if kind != b"R" or method not in (0, 10):
            raise PostgresError(f"it asks for authentication method {method}, not scram-sha-256")
        if method == 10:
            self._scram(password)
        self._until_ready()

    def query(self, text: str) -> None:
        self._send(b"Q", f"{text}\0".encode())
        self._until_ready()

    def _scram(self, password: str) -> None:
        """RFC 5802 with SHA-256, without channel binding. Passwords are ASCII, so they need no preparation."""
        nonce = secrets.token_urlsafe(18)
        first = f"n=,r={nonce}"
        body = f"n,,{first}".encode()
        self._send(b"p", b"SCRAM-SHA-256\0" + struct.pack("!i", len(body)) + body)
        server_first = self._continue(11)
        fields = dict(part.split("=", 1) for part in server_first.split(","))
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        key = hmac.digest(salted, b"Client Key", "sha256")
        last = f"c=biws,r={fields['r']}"
        message = f"{first},{server_first},{last}".encode()
        signature = hmac.digest(hashlib.sha256(key).digest(), message, "sha256")
        proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
        self._send(b"p", f"{last},p={base64.b64encode(proof).decode()}".encode())
        self._continue(12)
        self._receive()

    def _continue(self, method: int) -> str:
        kind, answer = self._receive()
        if kind != b"R" or struct.unpack("!i", answer[:4])[0] != method:
            raise PostgresError("it broke off the authentication")
        return answer[4:].decode()

    def _until_ready(self) -> None:
        while self._receive()[0] != b"Z":
            pass

    def _send(self, kind: bytes, body: bytes) -> None:
        self._connection.sendall(kind + struct.pack("!i", len(body) + 4) + body)

    def _receive(self) -> tuple[bytes, bytes]:
        head = self._stream.read(5)
        if len(head) < 5:
            raise PostgresError("it closed the connection")
        body = self._stream.read(struct.unpack("!i", head[1:])[0] - 4)
        if head[:1] == b"E":
            fields = {part[:1]: part[1:].decode(errors="replace") for part in body.split(b"\0") if part}
            raise PostgresError(fields.get(b"M", "it refused without a word"))
        return head[:1], body
