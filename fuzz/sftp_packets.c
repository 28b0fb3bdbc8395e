/* SPDX-License-Identifier: BSD-2-Clause */
/* One SFTP packet of a server, decrypted: its type, and what follows the id (in
 * a VERSION: the type). The input's first byte is the type.
 */
#include "config.h"
#include "fuzz/target.h"

#include <string.h>

#include "protocols/sftp/codec.h"

static void
names (struct wire *w, struct fault *f)
{
  const uint8_t *end = w->end;
  struct sftp_name n;
  uint32_t count;

  if (sftp_decode_name_count (w, &count, f))
    return;
  for (uint32_t i = 0; i < count; i++) {
    const uint8_t *before = w->p;

    if (sftp_decode_name (w, &n, f)) {
      MUST (f->text[0]);
      return;
    }
    MUST (w->p > before && n.name >= before
          && n.name_bytes <= (size_t)(end - n.name));
  }
}

/* What was understood means the same when it is asked for. */
static void
handle (struct wire *w, struct fault *f)
{
  uint8_t packet[SFTP_REQUEST_MAX_BYTES];
  struct wirebuf b = wirebuf_init (packet, sizeof packet);
  struct sftp_handle h;

  if (sftp_decode_handle (w, &h, f))
    return;
  MUST (h.length_bytes && h.length_bytes <= SFTP_HANDLE_MAX_BYTES);
  sftp_encode_read (&b, 1, &h, 0, SFTP_IO_MAX_BYTES);
  MUST (!b.err && memcmp (packet + 13, h.bytes, h.length_bytes) == 0);
}

static void
status (struct wire *w, struct fault *f)
{
  struct sftp_status s;

  if (sftp_decode_status (w, &s, f)) {
    MUST (f->text[0]);
    return;
  }
  MUST ((sftp_status_err (s.code) == ERR_OK) == (s.code == SSH_FX_OK));
  for (const char *c = s.message; *c; c++)
    MUST (*c >= ' ' && *c <= '~');
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  struct wire w = wire_init (data, size);
  uint8_t type = wire_u8 (&w);
  struct fault f = {0};
  union {
    struct sftp_version version;
    struct sftp_attrs attrs;
    struct sftp_limits limits;
  } u;
  enum err e = ERR_OK;

  sftp_type_name (type);
  switch (type) {
  case SSH_FXP_VERSION:
    e = sftp_decode_version (&w, &u.version, &f);
    break;
  case SSH_FXP_STATUS:
    status (&w, &f);
    break;
  case SSH_FXP_HANDLE:
    handle (&w, &f);
    break;
  case SSH_FXP_NAME:
    names (&w, &f);
    break;
  case SSH_FXP_ATTRS:
    e = sftp_decode_attrs (&w, &u.attrs, &f);
    break;
  case SSH_FXP_EXTENDED_REPLY:
    e = sftp_decode_limits (&w, &u.limits, &f);
    break;
  }
  MUST (!e || f.text[0]);
  return 0;
}
