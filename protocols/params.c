/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/params.h"

#include <string.h>

#include "protocols/sftp/params.h"

const struct proto_params proto_params_table[] = {
  {"sftp", "SFTP, a file over SSH", 22, sftp_params},
  {0},
};

const struct proto_params *
proto_params_find (const char *name)
{
  for (const struct proto_params *p = proto_params_table; p->name; p++)
    if (strcmp (p->name, name) == 0)
      return p;
  return NULL;
}
