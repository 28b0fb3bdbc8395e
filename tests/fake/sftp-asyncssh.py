#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# python3-asyncssh's SFTP server, as it is, on 127.0.0.1:
#   sftp-asyncssh.py PORT HOSTKEY AUTHORIZED_KEYS
# Everybody whose key is in the file may log in. Prints "ready" when it listens;
# ends by a signal.
import asyncio
import sys
import warnings

warnings.simplefilter("ignore")  # of old ciphers in its dependencies
import asyncssh  # noqa: E402


async def serve(port, hostkey, authorized_keys):
    listener = await asyncssh.listen(
        "127.0.0.1",
        int(port),
        server_host_keys=[hostkey],
        authorized_client_keys=authorized_keys,
        sftp_factory=True,
    )
    print("ready", flush=True)
    await listener.wait_closed()


asyncio.run(serve(*sys.argv[1:]))
