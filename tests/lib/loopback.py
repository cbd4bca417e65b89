#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Serve a free loopback port by a command, as inetd does.

loopback.py PORTFILE COMMAND..

storescp on its own listens on every address of the machine; started like this
(with --inetd) it is reached over 127.0.0.1 alone. The port is written to
PORTFILE. COMMAND runs once for each connection, with the socket as its
standard input and output; connections are served one after the other.
SIGTERM ends it, and the command that is running.
"""

import os
import signal
import socket
import subprocess
import sys

child = None


def stop(*_):
    # Not child.terminate(): it waits for a lock that the main thread may hold.
    if child and child.returncode is None:
        os.kill(child.pid, signal.SIGTERM)
    os._exit(0)


def main():
    global child
    if len(sys.argv) < 3:
        sys.exit("usage: loopback.py PORTFILE COMMAND..")
    signal.signal(signal.SIGTERM, stop)
    with socket.create_server(("127.0.0.1", 0)) as server:
        with open(sys.argv[1] + ".new", "w") as f:
            print(server.getsockname()[1], file=f)
        os.rename(sys.argv[1] + ".new", sys.argv[1])
        while True:
            connection, _ = server.accept()
            with connection:
                child = subprocess.Popen(sys.argv[2:], stdin=connection,
                                         stdout=connection)
            child.wait()


main()
