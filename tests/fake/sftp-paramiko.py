#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# python3-paramiko's SFTP server on 127.0.0.1:
#   sftp-paramiko.py PORT HOSTKEY AUTHORIZED_KEYS
# paramiko leaves the files to its user: here those of the machine. Everybody
# who has a key of the file may log in. Prints "ready" when it listens;
# ends by a signal.
import os
import socket
import sys
import threading
import warnings

warnings.simplefilter("ignore")  # of old ciphers in its dependencies
import paramiko  # noqa: E402


class Login(paramiko.ServerInterface):
    def __init__(self, keys):
        self.keys = keys

    def get_allowed_auths(self, username):
        return "publickey"

    def check_auth_publickey(self, username, key):
        if key.get_base64() in self.keys:
            return paramiko.AUTH_SUCCESSFUL
        return paramiko.AUTH_FAILED

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED


class File(paramiko.SFTPHandle):
    def stat(self):
        return paramiko.SFTPAttributes.from_stat(
            os.fstat(self.readfile.fileno())
        )


class Files(paramiko.SFTPServerInterface):
    def stat(self, path):
        try:
            return paramiko.SFTPAttributes.from_stat(os.stat(path))
        except OSError as e:
            return paramiko.SFTPServer.convert_errno(e.errno)

    def open(self, path, flags, attr):
        try:
            fd = os.open(path, flags)
        except OSError as e:
            return paramiko.SFTPServer.convert_errno(e.errno)
        handle = File(flags)
        handle.readfile = handle.writefile = os.fdopen(
            fd, "rb" if flags & os.O_ACCMODE == os.O_RDONLY else "rb+"
        )
        return handle


def serve(connection, hostkey, keys):
    transport = paramiko.Transport(connection)
    transport.add_server_key(hostkey)
    transport.set_subsystem_handler("sftp", paramiko.SFTPServer, Files)
    transport.start_server(server=Login(keys), event=threading.Event())


def main(port, hostkey_file, authorized_keys):
    hostkey = paramiko.Ed25519Key.from_private_key_file(hostkey_file)
    with open(authorized_keys) as lines:
        keys = [line.split()[1] for line in lines]
    listener = socket.create_server(("127.0.0.1", int(port)))
    print("ready", flush=True)
    while True:
        serve(listener.accept()[0], hostkey, keys)


main(*sys.argv[1:])
