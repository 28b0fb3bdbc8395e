/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/sftp/startup.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* STATUS too may answer every step but INIT (§7). */
static const struct {
  const char *request;
  enum sftp_type reply;
  unsigned next; /* bit set of steps */
} steps[] = {
    [STARTUP_INIT] = {"SSH_FXP_INIT", SSH_FXP_VERSION,
                      1u << STARTUP_LIMITS | 1u << STARTUP_STAT
                        | 1u << STARTUP_DONE},
    [STARTUP_LIMITS] = {"limits@openssh.com", SSH_FXP_EXTENDED_REPLY,
                        1u << STARTUP_STAT},
    [STARTUP_STAT] = {"SSH_FXP_STAT", SSH_FXP_ATTRS,
                      1u << STARTUP_PROBE | 1u << STARTUP_OPEN
                        | 1u << STARTUP_OPEN_READ_ONLY},
    [STARTUP_PROBE] = {"SSH_FXP_OPEN", SSH_FXP_HANDLE,
                       1u << STARTUP_PROBE_CLOSE | 1u << STARTUP_OPEN
                         | 1u << STARTUP_OPEN_READ_ONLY},
    [STARTUP_PROBE_CLOSE] = {"SSH_FXP_CLOSE", SSH_FXP_STATUS,
                             1u << STARTUP_PROBE_REMOVE},
    [STARTUP_PROBE_REMOVE] = {"SSH_FXP_REMOVE", SSH_FXP_STATUS,
                              1u << STARTUP_OPEN_READ_ONLY},
    [STARTUP_OPEN] = {"SSH_FXP_OPEN", SSH_FXP_HANDLE,
                      1u << STARTUP_OPEN_READ_ONLY | 1u << STARTUP_FSTAT},
    [STARTUP_OPEN_READ_ONLY] = {"SSH_FXP_OPEN", SSH_FXP_HANDLE,
                                1u << STARTUP_FSTAT},
    [STARTUP_FSTAT] = {"SSH_FXP_FSTAT", SSH_FXP_ATTRS, 1u << STARTUP_DONE},
    [STARTUP_DONE] = {"nothing", 0, 0},
};

/* "/~/x" is x below the login directory, which is where a server starts
 * relative names (§6.2); "/~/" is that directory.
 */
static const char *
server_path (const char *url_path)
{
  if (strcmp (url_path, "/~") == 0 || strcmp (url_path, "/~/") == 0)
    return ".";
  return strncmp (url_path, "/~/", 3) == 0 ? url_path + 3 : url_path;
}

/* Asks for what step needs. An outbox that is empty at each step has room for
 * the longest path.
 */
static void
enter (struct startup *s, enum startup_step step, uint64_t now_ns,
       struct outbox *o)
{
  struct wirebuf b = outbox_room (o);

  assert (steps[s->step].next & 1u << step);
  s->step = step;
  s->id++;
  s->deadline_ns = now_ns + STARTUP_TIMEOUT_NS;
  switch (step) {
  case STARTUP_LIMITS:
    sftp_encode_limits (&b, s->id);
    break;
  case STARTUP_STAT:
    sftp_encode_stat (&b, s->id, s->path);
    break;
  case STARTUP_PROBE:
    sftp_encode_open (&b, s->id, s->probe_path,
                      SSH_FXF_READ | SSH_FXF_WRITE);
    break;
  case STARTUP_PROBE_CLOSE:
    sftp_encode_close (&b, s->id, &s->handle);
    break;
  case STARTUP_PROBE_REMOVE:
    sftp_encode_remove (&b, s->id, s->probe_path);
    break;
  case STARTUP_OPEN:
    sftp_encode_open (&b, s->id, s->path, SSH_FXF_READ | SSH_FXF_WRITE);
    break;
  case STARTUP_OPEN_READ_ONLY:
    sftp_encode_open (&b, s->id, s->path, SSH_FXF_READ);
    break;
  case STARTUP_FSTAT:
    sftp_encode_fstat (&b, s->id, &s->handle);
    break;
  case STARTUP_INIT:
  case STARTUP_DONE:
    s->deadline_ns = PROTO_NO_DEADLINE;
    return;
  }
  outbox_header (o, &b);
}

/* Beside the file, in a folder that is there; the name is of this session. */
static void
name_probe (struct startup *s, uint32_t random)
{
  const char *slash = strrchr (s->path, '/');
  size_t folder_bytes = slash ? (size_t)(slash + 1 - s->path) : 0;

  memcpy (s->probe_path, s->path, folder_bytes);
  snprintf (s->probe_path + folder_bytes, STARTUP_PROBE_NAME_BYTES,
            ".bulkhead-no-file-%08" PRIx32, random);
}

enum err
startup_init (struct startup *s, const char *path, bool allow_unsafe_flush,
              uint32_t first_id, struct outbox *o, struct fault *f)
{
  struct wirebuf b = outbox_room (o);

  if (!path || path[0] != '/') {
    fault_set (f, ERR_INVAL, "the URL names no file on the server");
    fault_hint (f, "write sftp://HOST/absolute/path, or "
                   "sftp://HOST/~/path/below/the/login/directory");
    return ERR_INVAL;
  }
  if (strlen (server_path (path)) > SFTP_PATH_MAX_BYTES)
    return fault_set (f, ERR_INVAL, "the path is longer than %u bytes",
                      SFTP_PATH_MAX_BYTES);
  *s = (struct startup){
      .step = STARTUP_INIT,
      .id = first_id,
      .deadline_ns = PROTO_NO_DEADLINE,
      .allow_unsafe_flush = allow_unsafe_flush,
      .read_max_bytes = SFTP_IO_DEFAULT_BYTES,
      .write_max_bytes = SFTP_IO_DEFAULT_BYTES,
  };
  strcpy (s->path, server_path (path));
  name_probe (s, first_id);
  sftp_encode_init (&b);
  outbox_header (o, &b);
  return ERR_OK;
}

void
startup_sent (struct startup *s)
{
  /* An engine is opened long before the SSH login is through. */
  if (s->step == STARTUP_INIT && s->deadline_ns == PROTO_NO_DEADLINE)
    s->deadline_ns = 0;
}

enum err
startup_tick (struct startup *s, uint64_t now_ns, struct fault *f)
{
  if (s->deadline_ns == 0)
    s->deadline_ns = now_ns + STARTUP_TIMEOUT_NS;
  if (now_ns < s->deadline_ns)
    return ERR_OK;
  fault_set (f, ERR_TIMEOUT, "no answer to %s from the SFTP server in %u s",
             startup_request_name (s),
             (unsigned)(STARTUP_TIMEOUT_NS / 1000000000u));
  if (s->step == STARTUP_INIT)
    fault_hint (f, "is the sftp subsystem of the server in working order? "
                   "try: sftp USER@HOST");
  return ERR_TIMEOUT;
}

bool
startup_expects (const struct startup *s, uint8_t type)
{
  return type == steps[s->step].reply
         || (type == SSH_FXP_STATUS && s->step != STARTUP_INIT);
}

const char *
startup_request_name (const struct startup *s)
{
  return steps[s->step].request;
}

static enum err
on_version (struct startup *s, struct wire *w, uint64_t now_ns,
            struct outbox *o, struct fault *f)
{
  enum err e = sftp_decode_version (w, &s->version, f);

  if (e)
    return e;
  if (s->version.version > SFTP_PROTOCOL_VERSION)
    return fault_set (f, ERR_PEER,
                      "the server answers SFTP version %u to version %u "
                      "(SSH_FXP_VERSION, field version, " SFTP_DRAFT " §4)",
                      s->version.version, SFTP_PROTOCOL_VERSION);
  if (s->version.version < SFTP_PROTOCOL_VERSION) {
    fault_set (f, ERR_NOTSUP, "the server speaks SFTP version %u only",
               s->version.version);
    fault_hint (f, "version %u is needed", SFTP_PROTOCOL_VERSION);
    return ERR_NOTSUP;
  }
  enter (s,
         s->list                              ? STARTUP_DONE
         : s->version.limits == SFTP_OFFERED ? STARTUP_LIMITS
                                              : STARTUP_STAT,
         now_ns, o);
  return ERR_OK;
}

/* limit: 0 means that the server names none. */
static uint32_t
io_max (uint64_t limit, uint64_t packet_limit, uint32_t overhead_bytes)
{
  uint64_t max = limit ? limit : SFTP_IO_DEFAULT_BYTES;

  if (packet_limit && max > packet_limit - overhead_bytes)
    max = packet_limit - overhead_bytes;
  return max < SFTP_IO_MAX_BYTES ? (uint32_t)max : SFTP_IO_MAX_BYTES;
}

/* OPEN of a path is the longest of what is asked before there are READs, and
 * servers end a session by a packet that is too long.
 */
static enum err
check_path_fits (const struct startup *s, uint64_t packet_limit,
                 struct fault *f)
{
  bool probes = s->version.fsync != SFTP_OFFERED && s->allow_unsafe_flush;
  size_t path_bytes = strlen (s->path);
  size_t open_bytes;

  if (probes && strlen (s->probe_path) > path_bytes)
    path_bytes = strlen (s->probe_path);
  open_bytes = SFTP_OPEN_BYTES (path_bytes);
  if (!packet_limit || open_bytes <= packet_limit)
    return ERR_OK;
  fault_set (f, ERR_NOTSUP,
             "the path is too long for the server: SSH_FXP_OPEN takes %zu "
             "bytes, and it takes packets of %" PRIu64
             " (limits@openssh.com, max-packet-length)",
             open_bytes, packet_limit);
  fault_hint (f, "a path below the login directory is shorter: "
                 "sftp://HOST/~/PATH; so is a symbolic link on the server");
  return ERR_NOTSUP;
}

static enum err
on_limits (struct startup *s, struct wire *w, uint64_t now_ns, struct outbox *o,
           struct fault *f)
{
  const uint32_t overhead_bytes = SFTP_REQUEST_MAX_BYTES;
  struct sftp_limits l;
  enum err e = sftp_decode_limits (w, &l, f);

  if (e)
    return e;
  if ((l.max_packet_length
       && l.max_packet_length < SFTP_IO_LEAST_BYTES + overhead_bytes)
      || (l.max_read_length && l.max_read_length < SFTP_IO_LEAST_BYTES)
      || (l.max_write_length && l.max_write_length < SFTP_IO_LEAST_BYTES))
    return fault_set (f, ERR_NOTSUP,
                      "the server's limits are too small: packets of "
                      "%" PRIu64 ", reads of %" PRIu64 ", writes of %" PRIu64
                      " bytes (limits@openssh.com)",
                      l.max_packet_length, l.max_read_length,
                      l.max_write_length);
  if ((e = check_path_fits (s, l.max_packet_length, f)))
    return e;
  s->read_max_bytes =
      io_max (l.max_read_length, l.max_packet_length, overhead_bytes);
  s->write_max_bytes =
      io_max (l.max_write_length, l.max_packet_length, overhead_bytes);
  s->limits = true;
  enter (s, STARTUP_STAT, now_ns, o);
  return ERR_OK;
}

/* A mode without type bits comes from servers that know none: it is taken for
 * a regular file, as is one that is not sent at all.
 */
static enum err
check_attrs (const struct startup *s, const struct sftp_attrs *a,
             struct fault *f)
{
  uint32_t type =
      a->flags & SSH_FILEXFER_ATTR_PERMISSIONS ? a->permissions & 0170000u : 0;

  if (type == 0040000u) {
    fault_set (f, ERR_ISDIR, "%s is a directory on the server", s->path);
    fault_hint (f, "give the path of a file, for example a disk image");
    return ERR_ISDIR; /* then the gateway asks for a list */
  }
  if (type == 0060000u || type == 0020000u) {
    fault_set (f, ERR_NOTSUP, "%s is a device on the server", s->path);
    fault_hint (f, "SFTP does not tell the size of a device; "
                   "only regular files can be served");
    return ERR_NOTSUP;
  }
  if (type != 0 && type != 0100000u) {
    fault_set (f, ERR_NOTSUP, "%s is not a regular file on the server",
               s->path);
    fault_hint (f, "only regular files can be served");
    return ERR_NOTSUP;
  }
  return ERR_OK;
}

/* Why a file cannot be written to, once and for all; NULL if it can. */
static const char *
no_flush_why (const struct startup *s)
{
  if (s->version.fsync == SFTP_OFFERED || s->allow_unsafe_flush)
    return NULL;
  if (s->version.fsync == SFTP_OTHER_VERSION)
    return "the server offers fsync@openssh.com in an unknown version only, "
           "so FLUSH cannot be kept (allow-unsafe-flush=yes writes anyway)";
  return "the server does not offer fsync@openssh.com, so FLUSH cannot be "
         "kept (allow-unsafe-flush=yes writes anyway)";
}

static enum err
on_stat (struct startup *s, struct wire *w, uint64_t now_ns, struct outbox *o,
         struct fault *f)
{
  struct sftp_attrs a;
  enum err e = sftp_decode_attrs (w, &a, f);
  const char *why;

  if (!e)
    e = check_attrs (s, &a, f);
  if (e)
    return e;
  why = no_flush_why (s);
  if (why)
    snprintf (s->readonly_why, sizeof s->readonly_why, "%s", why);
  enter (s,
         why                                 ? STARTUP_OPEN_READ_ONLY
         : s->version.fsync != SFTP_OFFERED ? STARTUP_PROBE
                                             : STARTUP_OPEN,
         now_ns, o);
  return ERR_OK;
}

/* The server's answer to an OPEN, a CLOSE or a REMOVE of the probe. */
static void
on_probe_status (struct startup *s, const struct sftp_status *st,
                 uint64_t now_ns, struct outbox *o)
{
  size_t used = strlen (s->readonly_why);

  if (s->step == STARTUP_PROBE_CLOSE) {
    enter (s, STARTUP_PROBE_REMOVE, now_ns, o);
    return;
  }
  if (s->step == STARTUP_PROBE && st->code == SSH_FX_NO_SUCH_FILE) {
    enter (s, STARTUP_OPEN, now_ns, o);
    return;
  }
  if (s->step == STARTUP_PROBE)
    snprintf (s->readonly_why, sizeof s->readonly_why,
              "the server may empty files on opening them: it does not say "
              "that one is not there, but: %.40s (status %" PRIu32 ")",
              st->message[0] ? st->message : "nothing", st->code);
  else if (st->code != SSH_FX_OK)
    snprintf (s->readonly_why + used, sizeof s->readonly_why - used,
              "; it left %s behind", strrchr (s->probe_path, '.'));
  enter (s, STARTUP_OPEN_READ_ONLY, now_ns, o);
}

static enum err
on_handle (struct startup *s, struct wire *w, uint64_t now_ns, struct outbox *o,
           struct fault *f)
{
  enum err e = sftp_decode_handle (w, &s->handle, f);

  if (e)
    return e;
  if (s->step == STARTUP_PROBE) {
    snprintf (s->readonly_why, sizeof s->readonly_why, "%s",
              "the server would empty the file on opening it for writing, as "
              "it heeds no flags of SSH_FXP_OPEN");
    enter (s, STARTUP_PROBE_CLOSE, now_ns, o);
    return ERR_OK;
  }
  s->writable = s->step == STARTUP_OPEN;
  enter (s, STARTUP_FSTAT, now_ns, o);
  return ERR_OK;
}

static enum err
on_fstat (struct startup *s, struct wire *w, uint64_t now_ns, struct outbox *o,
          struct fault *f)
{
  struct sftp_attrs a;
  enum err e = sftp_decode_attrs (w, &a, f);

  if (!e)
    e = check_attrs (s, &a, f);
  if (e)
    return e;
  if (!(a.flags & SSH_FILEXFER_ATTR_SIZE))
    return fault_set (f, ERR_NOTSUP,
                      "the server does not tell the size of %s "
                      "(SSH_FXP_ATTRS, field size, " SFTP_DRAFT " §5)",
                      s->path);
  if (a.size > INT64_MAX)
    return fault_set (f, ERR_PEER,
                      "the server says that %s has %" PRIu64 " bytes "
                      "(SSH_FXP_ATTRS, field size, " SFTP_DRAFT " §5)",
                      s->path, a.size);
  s->size_bytes = a.size;
  if (a.flags & SSH_FILEXFER_ATTR_ACMODTIME)
    s->change = (uint64_t)a.mtime + 1;
  enter (s, STARTUP_DONE, now_ns, o);
  return ERR_OK;
}

/* What the answer means for the user. */
static enum err
refused (const struct startup *s, const struct sftp_status *st, struct fault *f)
{
  enum err e = sftp_status_err (st->code);

  switch (e) {
  case ERR_NOENT:
    fault_set (f, e, "there is no file %s on the server", s->path);
    fault_hint (f, s->path[0] == '/'
                       ? "the path is absolute; /~/PATH is below the login "
                         "directory. Nothing is created: make the image first"
                       : "the path is below the login directory. Nothing is "
                         "created: make the image first");
    return e;
  case ERR_ACCESS:
    fault_set (f, e, "the server denies access to %s", s->path);
    fault_hint (f, "check the permissions of the file and of the "
                   "directories above it for the user that logs in");
    return e;
  default:
    return fault_set (f, e, "the server refuses %s of %s: %s (status %u)",
                      startup_request_name (s), s->path,
                      st->message[0] ? st->message : "no reason given",
                      st->code);
  }
}

static enum err
on_status (struct startup *s, struct wire *w, uint64_t now_ns, struct outbox *o,
           struct fault *f)
{
  struct sftp_status st;
  enum err e = sftp_decode_status (w, &st, f);

  if (e)
    return e;
  if (st.code == SSH_FX_OK && steps[s->step].reply != SSH_FXP_STATUS)
    return fault_set (f, ERR_PEER,
                      "the server answers SSH_FX_OK to %s, which asks for "
                      "more (SSH_FXP_STATUS, " SFTP_DRAFT " §7)",
                      startup_request_name (s));
  if (s->step == STARTUP_LIMITS) {
    enter (s, STARTUP_STAT, now_ns, o);
    return ERR_OK;
  }
  if (s->step == STARTUP_PROBE || s->step == STARTUP_PROBE_CLOSE
      || s->step == STARTUP_PROBE_REMOVE) {
    on_probe_status (s, &st, now_ns, o);
    return ERR_OK;
  }
  /* A read-only file system is a plain SSH_FX_FAILURE to OpenSSH. If the
   * reason is another one, the next OPEN fails too and tells it.
   */
  if (s->step == STARTUP_OPEN && st.code != SSH_FX_NO_SUCH_FILE) {
    snprintf (s->readonly_why, sizeof s->readonly_why,
              "the server does not open the file for writing: %.100s",
              st.message[0] ? st.message : "no reason given");
    enter (s, STARTUP_OPEN_READ_ONLY, now_ns, o);
    return ERR_OK;
  }
  return refused (s, &st, f);
}

enum err
startup_packet (struct startup *s, uint8_t type, struct wire *w,
                uint64_t now_ns, struct outbox *o, struct fault *f)
{
  assert (startup_expects (s, type));
  if (s->step == STARTUP_INIT)
    return on_version (s, w, now_ns, o, f);
  if (wire_u32 (w) != s->id)
    return fault_set (f, ERR_PEER,
                      "the server answers a request that was not made "
                      "(%s, field id, " SFTP_DRAFT " §6)",
                      sftp_type_name (type));
  if (type == SSH_FXP_STATUS)
    return on_status (s, w, now_ns, o, f);
  switch (s->step) {
  case STARTUP_LIMITS:
    return on_limits (s, w, now_ns, o, f);
  case STARTUP_STAT:
    return on_stat (s, w, now_ns, o, f);
  case STARTUP_PROBE:
  case STARTUP_OPEN:
  case STARTUP_OPEN_READ_ONLY:
    return on_handle (s, w, now_ns, o, f);
  case STARTUP_FSTAT:
    return on_fstat (s, w, now_ns, o, f);
  case STARTUP_PROBE_CLOSE:
  case STARTUP_PROBE_REMOVE: /* STATUS alone */
  case STARTUP_INIT:
  case STARTUP_DONE:
    break;
  }
  return fault_set (f, ERR_PEER,
                    "the server answers a request that was not "
                    "made (%s)",
                    sftp_type_name (type));
}

void
startup_remarks (const struct startup *s, char *dst, size_t dst_bytes)
{
  snprintf (dst, dst_bytes,
            "reads of at most %" PRIu32 " bytes, writes of %" PRIu32 "%s%s",
            s->read_max_bytes, s->write_max_bytes,
            s->limits ? "" : ", for want of limits@openssh.com",
            s->writable && s->version.fsync != SFTP_OFFERED
                ? "; for want of fsync@openssh.com, FLUSH proves nothing"
                : "");
}
