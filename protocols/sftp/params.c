/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/sftp/params.h"

const struct param sftp_params[] = {
  {"host", PARAM_STRING, PARAM_TO_DAEMON | PARAM_URL_ONLY, 0, 0, NULL, "HOST",
   "the server, from the URL"},
  {"port", PARAM_UINT, PARAM_TO_DAEMON, 1, 65535, "22", "PORT",
   "TCP port of the SSH server"},
  {"path", PARAM_STRING, PARAM_TO_WORKER | PARAM_URL_ONLY, 0, 0, NULL, "PATH",
   "the file, from the URL; absolute, or below the login directory after /~/"},
  {"user", PARAM_STRING, PARAM_TO_DAEMON | PARAM_TO_WORKER, 0, 0, NULL, "USER",
   "user on the server (default: the local user's name)"},
  {"identity", PARAM_FILE, PARAM_TO_DAEMON, 0, 0, NULL, "FILE",
   "private key (default: ~/.ssh/id_ed25519, id_ecdsa, id_rsa)"},
  {"passphrase", PARAM_SECRET, PARAM_TO_DAEMON, 0, 0, NULL, "-|+FILE|-FD",
   "passphrase of an encrypted private key: given as password= is"},
  {"agent", PARAM_SOCKET, PARAM_TO_DAEMON, 0, 0, NULL, "yes|no|SOCKET",
   "ssh-agent to sign with, after identity= (default: $SSH_AUTH_SOCK)"},
  {"known-hosts", PARAM_FILE, PARAM_TO_DAEMON, 0, 0, NULL, "FILE",
   "known host keys (default: ~/.ssh/known_hosts, then "
   "/etc/ssh/ssh_known_hosts)"},
  {"password", PARAM_SECRET, PARAM_TO_DAEMON, 0, 0, NULL, "-|+FILE|-FD",
   "password: - prompts, +FILE reads a file, -FD a file descriptor"},
  {"allow-unsafe-flush", PARAM_BOOL, PARAM_TO_WORKER, 0, 0, "no", "BOOL",
   "write to a server without fsync@openssh.com, where FLUSH cannot be kept"},
  {0},
};
