/* SPDX-License-Identifier: BSD-2-Clause */
/* What stands for parameters that the user leaves out. */
#include "config.h"
#include "gateway/options_private.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ipc/hash.h"
#include "ipc/runtime.h"
#include "protocols/params.h"

/* Which daemon of which user of which host, in a form that tells none of them
 * (64 bits of 128 that are secret): a server knows its clients by that (RFC
 * 8881 §2.4), so it stays the same for ever.
 */
static void
own_client (char *dst, size_t dst_bytes)
{
  char host[768] = "", dir[RUNTIME_DIR_BYTES] = "";
  int fd = open ("/etc/machine-id", O_RDONLY | O_CLOEXEC);
  ssize_t n = fd >= 0 ? read (fd, host, 64) : -1;
  size_t used;
  uint64_t h = 0;

  if (fd >= 0)
    close (fd);
  if (n < 32)
    n = gethostname (host, 256) == 0 ? (ssize_t)strnlen (host, 256) : 0;
  used = (size_t)n;
  (void)runtime_dir_path (dir); /* without one there is no daemon */
  snprintf (host + used, sizeof host - used, "/%u/bulkhead%s",
            (unsigned)geteuid (), dir);
  for (const char *p = host; *p; p++)
    h = hash_page (h ^ (uint8_t)*p);
  snprintf (dst, dst_bytes, "%016llx", (unsigned long long)h);
}

/* Whom an NFS server is told that asks: who we are, unless the user says
 * somebody else. NULL: not a parameter of that kind.
 */
static const char *
own_ids (const struct param *p, char *dst, size_t dst_bytes)
{
  gid_t groups[16];
  int count;
  size_t used = 0;

  if (strcmp (p->key, "uid") == 0)
    snprintf (dst, dst_bytes, "%u", (unsigned)geteuid ());
  else if (strcmp (p->key, "gid") == 0)
    snprintf (dst, dst_bytes, "%u", (unsigned)getegid ());
  else if (strcmp (p->key, "groups") == 0) {
    count = getgroups (16, groups);
    dst[0] = 0;
    for (int i = 0; i < count; i++)
      used += (size_t)snprintf (dst + used, dst_bytes - used, "%s%u",
                                i ? "," : "", (unsigned)groups[i]);
    return count > 0 ? dst : NULL; /* more than 16 do not fit AUTH_SYS */
  } else if (strcmp (p->key, "client-id") == 0)
    own_client (dst, dst_bytes);
  else
    return NULL;
  return dst;
}

enum err
options_default (struct options *o, const struct param *p,
                 const struct log *log, struct fault *f)
{
  const struct passwd *pw;
  const char *value = p->fallback;
  char ids[16 * 11 + 1];
  bool tls = false;
  enum err e = options_default_tls (o, p, &tls, f);

  if (e || tls)
    return e;
  if (p->type == PARAM_FILE)
    return options_default_files (o, p, log, f);
  if (p->type == PARAM_SOCKET)
    return options_get (o, p->key) ? ERR_OK /* "no" */
                                   : options_default_socket (o, p, log, f);
  if (!value && strcmp (p->key, "user") == 0
      && proto_params_find (o->spec.proto)->flags & PROTO_LOGIN_SSH) {
    pw = getpwuid (geteuid ());
    value = pw ? pw->pw_name : NULL;
    if (!value)
      return fault_set (f, ERR_INVAL,
                        "this user has no name here; give user=NAME");
  }
  if (!value && strcmp (o->spec.proto, "nfs") == 0)
    value = own_ids (p, ids, sizeof ids);
  if (value && volume_spec_set (&o->spec, p->key, value, -1))
    return fault_set (f, ERR_LIMIT, "%s= is too long", p->key);
  return ERR_OK;
}
