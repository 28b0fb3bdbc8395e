/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "tests/fake/peer_link.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "tests/fake/peer_private.h"

static bool
never (void)
{
  return false;
}

struct link *
peer_link (const struct link_options *options, bool (*interrupted) (void))
{
  static const struct log quiet;
  struct volume_spec *spec = calloc (1, sizeof *spec);
  struct link *l = NULL;
  struct fault f = {0};

  MUST (spec);
  snprintf (spec->proto, sizeof spec->proto, "sftp");
  MUST (!link_open (spec, NULL, 0, options, &quiet,
                    interrupted ? interrupted : never, &l, &f));
  MUST (!link_start (l, &f));
  free (spec);
  return l;
}
