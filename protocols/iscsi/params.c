/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/iscsi/params.h"

const struct param iscsi_params[] = {
  {"host", PARAM_STRING, PARAM_TO_DAEMON | PARAM_URL_ONLY, 0, 0, NULL, "HOST",
   "the server, from the URL"},
  {"port", PARAM_UINT, PARAM_TO_DAEMON, 1, 65535, "3260", "PORT",
   "TCP port of the portal"},
  {"path", PARAM_STRING, PARAM_TO_WORKER | PARAM_URL_ONLY, 0, 0, NULL, "PATH",
   "the target's name and the LUN, from the URL"},
  {"user", PARAM_STRING, PARAM_TO_DAEMON | PARAM_TO_WORKER, 0, 0, NULL, "NAME",
   "name to log in with by CHAP (default: no login)"},
  {"password", PARAM_SECRET, PARAM_TO_DAEMON, 0, 0, NULL, "-|+FILE|-FD",
   "CHAP secret: - prompts, +FILE reads a file, -FD a file descriptor"},
  {"target-user", PARAM_STRING, PARAM_TO_DAEMON | PARAM_TO_WORKER, 0, 0, NULL,
   "NAME", "name that the target must prove to have by CHAP (default: it need "
   "not)"},
  {"target-password", PARAM_SECRET, PARAM_TO_DAEMON, 0, 0, NULL,
   "-|+FILE|-FD", "CHAP secret of the target, another one than password="},
  {"portals", PARAM_STRING, PARAM_TO_DAEMON, 0, 0, NULL, "HOST[:PORT],…",
   "portals of the target to connect to in place of the URL's, by turns"},
  {"redirect", PARAM_STRING, PARAM_TO_DAEMON, 0, 0, NULL,
   "no|any|HOST[:PORT],…",
   "where else the target may send us (default: to the hosts in URL and "
   "portals=)"},
  {"initiator-name", PARAM_STRING, PARAM_TO_WORKER | PARAM_IN_KEY, 0, 0,
   "iqn.2001-04.com.example:bulkhead", "NAME",
   "our own iSCSI name, as the target's access lists have it"},
  {"header-digest", PARAM_STRING, PARAM_TO_WORKER, 0, 0, "none",
   "none|crc32c", "insist on a CRC over PDU headers"},
  {"data-digest", PARAM_STRING, PARAM_TO_WORKER, 0, 0, "none", "none|crc32c",
   "insist on a CRC over data"},
  {0},
};
