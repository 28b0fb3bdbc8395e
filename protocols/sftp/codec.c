/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/sftp/codec.h"

#include <string.h>

static const char fsync_name[] = "fsync@openssh.com";
static const char limits_name[] = "limits@openssh.com";

const char *
sftp_type_name (uint8_t type)
{
  switch ((enum sftp_type)type) {
  case SSH_FXP_INIT:
    return "SSH_FXP_INIT";
  case SSH_FXP_VERSION:
    return "SSH_FXP_VERSION";
  case SSH_FXP_OPEN:
    return "SSH_FXP_OPEN";
  case SSH_FXP_CLOSE:
    return "SSH_FXP_CLOSE";
  case SSH_FXP_READ:
    return "SSH_FXP_READ";
  case SSH_FXP_WRITE:
    return "SSH_FXP_WRITE";
  case SSH_FXP_FSTAT:
    return "SSH_FXP_FSTAT";
  case SSH_FXP_OPENDIR:
    return "SSH_FXP_OPENDIR";
  case SSH_FXP_READDIR:
    return "SSH_FXP_READDIR";
  case SSH_FXP_REMOVE:
    return "SSH_FXP_REMOVE";
  case SSH_FXP_STAT:
    return "SSH_FXP_STAT";
  case SSH_FXP_STATUS:
    return "SSH_FXP_STATUS";
  case SSH_FXP_HANDLE:
    return "SSH_FXP_HANDLE";
  case SSH_FXP_DATA:
    return "SSH_FXP_DATA";
  case SSH_FXP_NAME:
    return "SSH_FXP_NAME";
  case SSH_FXP_ATTRS:
    return "SSH_FXP_ATTRS";
  case SSH_FXP_EXTENDED:
    return "SSH_FXP_EXTENDED";
  case SSH_FXP_EXTENDED_REPLY:
    return "SSH_FXP_EXTENDED_REPLY";
  }
  return NULL;
}

enum err
sftp_status_err (uint32_t code)
{
  switch (code) {
  case SSH_FX_OK:
    return ERR_OK;
  case SSH_FX_NO_SUCH_FILE:
    return ERR_NOENT;
  case SSH_FX_PERMISSION_DENIED:
    return ERR_ACCESS;
  case SSH_FX_OP_UNSUPPORTED:
    return ERR_NOTSUP;
  case SSH_FX_WRITE_PROTECT:
    return ERR_ROFS;
  case SSH_FX_NO_SPACE_ON_FILESYSTEM:
  case SSH_FX_QUOTA_EXCEEDED:
    return ERR_NOSPC;
  case SSH_FX_FILE_IS_A_DIRECTORY:
    return ERR_ISDIR;
  default: /* FAILURE may be anything, a full disk too */
    return ERR_IO;
  }
}

/* Encoders. */

static void
header (struct wirebuf *b, size_t length_bytes, enum sftp_type type)
{
  wirebuf_u32 (b, (uint32_t)length_bytes);
  wirebuf_u8 (b, (uint8_t)type);
}

static void
id_header (struct wirebuf *b, size_t rest_bytes, enum sftp_type type,
           uint32_t id)
{
  header (b, 5 + rest_bytes, type);
  wirebuf_u32 (b, id);
}

static void
handle (struct wirebuf *b, const struct sftp_handle *h)
{
  wirebuf_string (b, h->bytes, h->length_bytes);
}

/* §4 */
void
sftp_encode_init (struct wirebuf *b)
{
  header (b, 5, SSH_FXP_INIT);
  wirebuf_u32 (b, SFTP_PROTOCOL_VERSION);
}

/* §8; OpenSSH PROTOCOL, "limits@openssh.com" */
void
sftp_encode_limits (struct wirebuf *b, uint32_t id)
{
  id_header (b, 4 + strlen (limits_name), SSH_FXP_EXTENDED, id);
  wirebuf_cstring (b, limits_name);
}

/* §6.8 */
void
sftp_encode_stat (struct wirebuf *b, uint32_t id, const char *path)
{
  id_header (b, 4 + strlen (path), SSH_FXP_STAT, id);
  wirebuf_cstring (b, path);
}

/* §6.3 */
void
sftp_encode_open (struct wirebuf *b, uint32_t id, const char *path,
                  uint32_t pflags)
{
  id_header (b, 4 + strlen (path) + 4 + 4, SSH_FXP_OPEN, id);
  wirebuf_cstring (b, path);
  wirebuf_u32 (b, pflags);
  wirebuf_u32 (b, 0); /* attrs (§5): no field */
}

/* §6.3 */
void
sftp_encode_close (struct wirebuf *b, uint32_t id, const struct sftp_handle *h)
{
  id_header (b, 4 + h->length_bytes, SSH_FXP_CLOSE, id);
  handle (b, h);
}

/* §6.5 */
void
sftp_encode_remove (struct wirebuf *b, uint32_t id, const char *path)
{
  id_header (b, 4 + strlen (path), SSH_FXP_REMOVE, id);
  wirebuf_cstring (b, path);
}

/* §6.8 */
void
sftp_encode_fstat (struct wirebuf *b, uint32_t id, const struct sftp_handle *h)
{
  id_header (b, 4 + h->length_bytes, SSH_FXP_FSTAT, id);
  handle (b, h);
}

/* §6.7 */
void
sftp_encode_opendir (struct wirebuf *b, uint32_t id, const char *path)
{
  id_header (b, 4 + strlen (path), SSH_FXP_OPENDIR, id);
  wirebuf_cstring (b, path);
}

/* §6.7 */
void
sftp_encode_readdir (struct wirebuf *b, uint32_t id,
                     const struct sftp_handle *h)
{
  id_header (b, 4 + h->length_bytes, SSH_FXP_READDIR, id);
  handle (b, h);
}

/* §8; OpenSSH PROTOCOL, "fsync@openssh.com" */
void
sftp_encode_fsync (struct wirebuf *b, uint32_t id, const struct sftp_handle *h)
{
  id_header (b, 4 + strlen (fsync_name) + 4 + h->length_bytes, SSH_FXP_EXTENDED,
             id);
  wirebuf_cstring (b, fsync_name);
  handle (b, h);
}

/* §6.4 */
void
sftp_encode_read (struct wirebuf *b, uint32_t id, const struct sftp_handle *h,
                  uint64_t offset, uint32_t length_bytes)
{
  id_header (b, 4 + h->length_bytes + 8 + 4, SSH_FXP_READ, id);
  handle (b, h);
  wirebuf_u64 (b, offset);
  wirebuf_u32 (b, length_bytes);
}

/* §6.4 */
void
sftp_encode_write_header (struct wirebuf *b, uint32_t id,
                          const struct sftp_handle *h, uint64_t offset,
                          uint32_t length_bytes)
{
  id_header (b, 4 + h->length_bytes + 8 + 4 + (size_t)length_bytes,
             SSH_FXP_WRITE, id);
  handle (b, h);
  wirebuf_u64 (b, offset);
  wirebuf_u32 (b, length_bytes);
}

/* Decoders. */

static enum err
bad (struct fault *f, const char *packet, const char *field,
     const char *section)
{
  return fault_set (f, ERR_PEER,
                    "the server sent a broken SFTP packet: %s, field %s "
                    "(" SFTP_DRAFT " %s)",
                    packet, field, section);
}

static bool
equals (const uint8_t *p, size_t length_bytes, const char *s)
{
  return length_bytes == strlen (s) && memcmp (p, s, length_bytes) == 0;
}

/* A server may name one extension with several versions. */
static void
offer (enum sftp_offer *o, bool known_version)
{
  if (known_version)
    *o = SFTP_OFFERED;
  else if (*o == SFTP_NOT_OFFERED)
    *o = SFTP_OTHER_VERSION;
}

enum err
sftp_decode_version (struct wire *w, struct sftp_version *ret, struct fault *f)
{
  struct sftp_version v = {.version = wire_u32 (w)};

  if (w->err)
    return bad (f, "SSH_FXP_VERSION", "version", "§4");
  while (wire_left (w)) {
    size_t name_bytes, data_bytes;
    const uint8_t *name = wire_string (w, wire_left (w), &name_bytes);
    const uint8_t *data;

    if (!name)
      return bad (f, "SSH_FXP_VERSION", "extension_name", "§4");
    data = wire_string (w, wire_left (w), &data_bytes);
    if (!data)
      return bad (f, "SSH_FXP_VERSION", "extension_data", "§4");
    if (equals (name, name_bytes, fsync_name))
      offer (&v.fsync, equals (data, data_bytes, "1"));
    else if (equals (name, name_bytes, limits_name))
      offer (&v.limits, equals (data, data_bytes, "1"));
  }
  *ret = v;
  return ERR_OK;
}

/* The words go into logs and onto terminals. */
static void
copy_printable (char *dst, size_t dst_bytes, const uint8_t *p, size_t n)
{
  size_t i;

  for (i = 0; i < n && i < dst_bytes - 1; i++)
    dst[i] = p[i] >= 0x20 && p[i] < 0x7f ? (char)p[i] : '?';
  dst[i] = 0;
}

/* Message and language tag came with version 3 (§10.1): some servers still
 * leave them out.
 */
enum err
sftp_decode_status (struct wire *w, struct sftp_status *ret, struct fault *f)
{
  uint32_t code = wire_u32 (w);
  const uint8_t *message = NULL;
  size_t message_bytes = 0, tag_bytes;

  if (w->err)
    return bad (f, "SSH_FXP_STATUS", "error/status code", "§7");
  if (wire_left (w)) {
    message = wire_string (w, wire_left (w), &message_bytes);
    if (!message)
      return bad (f, "SSH_FXP_STATUS", "error message", "§7");
  }
  if (wire_left (w) && !wire_string (w, wire_left (w), &tag_bytes))
    return bad (f, "SSH_FXP_STATUS", "language tag", "§7");
  if (wire_end (w))
    return bad (f, "SSH_FXP_STATUS", "(bytes behind the last)", "§7");
  ret->code = code;
  copy_printable (ret->message, sizeof ret->message, message, message_bytes);
  return ERR_OK;
}

enum err
sftp_decode_handle (struct wire *w, struct sftp_handle *ret, struct fault *f)
{
  size_t n;
  const uint8_t *p = wire_string (w, SFTP_HANDLE_MAX_BYTES, &n);

  if (!p || n == 0)
    return bad (f, "SSH_FXP_HANDLE", "handle", "§6.3, §7");
  if (wire_end (w))
    return bad (f, "SSH_FXP_HANDLE", "(bytes behind the last)", "§7");
  ret->length_bytes = (uint32_t)n;
  memcpy (ret->bytes, p, n);
  return ERR_OK;
}

static void
skip_extended_attrs (struct wire *w)
{
  uint32_t count = wire_u32 (w);
  size_t n;

  /* Each takes 8 bytes at least: an absurd count ends by the error. */
  for (uint32_t i = 0; i < count && !w->err; i++) {
    wire_string (w, wire_left (w), &n);
    wire_string (w, wire_left (w), &n);
  }
}

/* Attributes, with the packet's name for messages. */
static enum err
take_attrs (struct wire *w, const char *packet, struct sftp_attrs *ret,
            struct fault *f)
{
  const uint32_t known = SSH_FILEXFER_ATTR_SIZE | SSH_FILEXFER_ATTR_UIDGID
                         | SSH_FILEXFER_ATTR_PERMISSIONS
                         | SSH_FILEXFER_ATTR_ACMODTIME
                         | SSH_FILEXFER_ATTR_EXTENDED;
  struct sftp_attrs a = {.flags = wire_u32 (w)};

  if (w->err || (a.flags & ~known))
    return bad (f, packet, "flags", "§5");
  if (a.flags & SSH_FILEXFER_ATTR_SIZE)
    a.size = wire_u64 (w);
  if (w->err)
    return bad (f, packet, "size", "§5");
  if (a.flags & SSH_FILEXFER_ATTR_UIDGID)
    wire_bytes (w, 8);
  if (w->err)
    return bad (f, packet, "uid, gid", "§5");
  if (a.flags & SSH_FILEXFER_ATTR_PERMISSIONS)
    a.permissions = wire_u32 (w);
  if (w->err)
    return bad (f, packet, "permissions", "§5");
  if (a.flags & SSH_FILEXFER_ATTR_ACMODTIME) {
    wire_u32 (w); /* atime */
    a.mtime = wire_u32 (w);
  }
  if (w->err)
    return bad (f, packet, "atime, mtime", "§5");
  if (a.flags & SSH_FILEXFER_ATTR_EXTENDED)
    skip_extended_attrs (w);
  if (w->err)
    return bad (f, packet, "extended_count and pairs", "§5");
  *ret = a;
  return ERR_OK;
}

enum err
sftp_decode_attrs (struct wire *w, struct sftp_attrs *ret, struct fault *f)
{
  struct sftp_attrs a;
  enum err e = take_attrs (w, "SSH_FXP_ATTRS", &a, f);

  if (e)
    return e;
  if (wire_end (w))
    return bad (f, "SSH_FXP_ATTRS", "(bytes behind the last)", "§5");
  *ret = a;
  return ERR_OK;
}

enum err
sftp_decode_name_count (struct wire *w, uint32_t *ret, struct fault *f)
{
  uint32_t count = wire_u32 (w);

  if (w->err)
    return bad (f, "SSH_FXP_NAME", "count", "§7");
  *ret = count;
  return ERR_OK;
}

enum err
sftp_decode_name (struct wire *w, struct sftp_name *ret, struct fault *f)
{
  struct sftp_name n = {0};
  size_t long_bytes;
  enum err e;

  n.name = wire_string (w, wire_left (w), &n.name_bytes);
  if (!n.name)
    return bad (f, "SSH_FXP_NAME", "filename", "§7");
  if (!wire_string (w, wire_left (w), &long_bytes))
    return bad (f, "SSH_FXP_NAME", "longname", "§7");
  if ((e = take_attrs (w, "SSH_FXP_NAME", &n.attrs, f)))
    return e;
  *ret = n;
  return ERR_OK;
}

enum err
sftp_decode_limits (struct wire *w, struct sftp_limits *ret, struct fault *f)
{
  struct sftp_limits l;

  l.max_packet_length = wire_u64 (w);
  l.max_read_length = wire_u64 (w);
  l.max_write_length = wire_u64 (w);
  l.max_open_handles = wire_u64 (w);
  if (wire_end (w))
    return fault_set (f, ERR_PEER,
                      "the server sent a broken SFTP packet: "
                      "SSH_FXP_EXTENDED_REPLY to limits@openssh.com is not "
                      "four uint64 (" SFTP_DRAFT " §8, OpenSSH PROTOCOL)");
  *ret = l;
  return ERR_OK;
}
