/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/requester.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

enum err
requester_of (int sock, struct requester *ret)
{
  struct requester r = {0};
  struct ucred cred;
  socklen_t n = sizeof cred, bytes = sizeof r.group;

  if (getsockopt (sock, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0)
    return ERR_IO;
  r.uid = cred.uid;
  r.gid = cred.gid;
  if (getsockopt (sock, SOL_SOCKET, SO_PEERGROUPS, r.group, &bytes) == 0)
    r.groups = (unsigned)(bytes / sizeof r.group[0]);
  *ret = r;
  return ERR_OK;
}

static bool
is_member (const struct requester *r, unsigned long gid)
{
  if (gid == r->gid)
    return true;
  for (unsigned i = 0; i < r->groups; i++)
    if (gid == r->group[i])
      return true;
  return false;
}

static enum err
refuse (struct fault *f, const char *key, const char *value)
{
  fault_set (f, ERR_ACCESS,
             "%s=%.100s: only root may ask a server as somebody else", key,
             value);
  fault_hint (f, "leave uid=, gid= and groups= out, or name what id(1) shows");
  return f->code;
}

/* "4,24,27" */
static bool
all_member (const struct requester *r, const char *list)
{
  while (*list) {
    char *end;
    unsigned long gid;

    if (!isdigit ((unsigned char)*list))
      return false;
    errno = 0;
    gid = strtoul (list, &end, 10);
    if (errno || (*end && *end != ',') || !is_member (r, gid))
      return false;
    list = *end ? end + 1 : end;
  }
  return true;
}

enum err
requester_check (const struct requester *r, const struct volume_spec *spec,
                 struct fault *f)
{
  const char *uid = volume_spec_get (spec, "uid");
  const char *gid = volume_spec_get (spec, "gid");
  const char *groups = volume_spec_get (spec, "groups");

  if (r->uid == 0)
    return ERR_OK;
  if (uid && strtoul (uid, NULL, 10) != r->uid)
    return refuse (f, "uid", uid);
  if (gid && !is_member (r, strtoul (gid, NULL, 10)))
    return refuse (f, "gid", gid);
  if (groups && !all_member (r, groups))
    return refuse (f, "groups", groups);
  return ERR_OK;
}
