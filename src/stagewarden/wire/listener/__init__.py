"""The agents' listener on bare sockets: one strict reader, one frozen heading per request, one answer. Knows HTTP, nothing of policy."""

from stagewarden.wire.listener.connection import Connection, Timeouts
from stagewarden.wire.listener.exchange import Exchange
from stagewarden.wire.listener.heading import Heading
from stagewarden.wire.listener.reply import Reply
from stagewarden.wire.listener.server import Server

__all__ = ["Connection", "Exchange", "Heading", "Reply", "Server", "Timeouts"]
