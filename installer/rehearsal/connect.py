"""SSH's way into a rehearsal network: connect from inside it and hand the socket over (ProxyUseFdpass)."""

import socket
import sys

with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10) as connection:
    connection.setblocking(True)
    socket.send_fds(socket.socket(fileno=sys.stdout.fileno()), [b"\0"], [connection.fileno()])
