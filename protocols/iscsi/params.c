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
  {0},
};
