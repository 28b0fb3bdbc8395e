/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/iscsi/targets.h"

#include <stdio.h>
#include <string.h>

#include "protocols/iscsi/keys.h"
#include "protocols/iscsi/name.h"

struct target {
  char name[LOGIN_NAME_BYTES]; /* "": none, or none that can be */
  char addresses[LISTING_DESCRIPTION_BYTES];
};

static enum err
add (struct listing *l, struct target *t)
{
  enum err e = ERR_OK;

  if (t->name[0])
    e = listing_add (l, t->name, strlen (t->name), LISTING_SIZE_UNKNOWN,
                     t->addresses);
  t->name[0] = t->addresses[0] = 0;
  return e == ERR_LIMIT ? ERR_OK : e;
}

static void
add_address (struct target *t, const char *value)
{
  size_t used = strlen (t->addresses);

  if (used + strlen (value) + 2 < sizeof t->addresses)
    snprintf (t->addresses + used, sizeof t->addresses - used, "%s%s",
              used ? " " : "", value);
}

enum err
targets_list (const uint8_t *text, size_t text_bytes, struct listing *ret,
              struct fault *f)
{
  struct target t = {"", ""};
  struct keys_pair pair;
  size_t offset = 0;
  enum err e = ERR_OK;

  while (keys_next (text, text_bytes, &offset, &pair, &e, f)) {
    if (strcmp (pair.name, "TargetName") == 0) {
      e = add (ret, &t);
      if (e)
        return fault_set (f, e, "out of memory");
      if (name_normalise (pair.value, strlen (pair.value), "target", t.name,
                          NULL))
        t.name[0] = 0;
    } else if (strcmp (pair.name, "TargetAddress") == 0) {
      add_address (&t, pair.value);
    }
  }
  if (e)
    return e;
  e = add (ret, &t);
  return e ? fault_set (f, e, "out of memory") : ERR_OK;
}
