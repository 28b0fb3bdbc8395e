/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "common/err.h"

#include <errno.h>
#include <stdio.h>

#include "common/text.h"

static const struct {
  int sys_errno;
  const char *text;
} table[ERR_COUNT] = {
#define X(name, errno_, text_) [ERR_INDEX_##name] = {errno_, text_},
  ERR_TABLE (X)
#undef X
};

int
err_errno (enum err e)
{
  int i = -(int)e;

  return i >= 0 && i < ERR_COUNT ? table[i].sys_errno : EIO;
}

const char *
err_text (enum err e)
{
  int i = -(int)e;

  return i >= 0 && i < ERR_COUNT ? table[i].text : "unknown error";
}

enum err
err_from_errno (int sys_errno)
{
  switch (sys_errno) {
  case 0:
    return ERR_OK;
  case ENOMEM:
    return ERR_NOMEM;
  case EINVAL:
    return ERR_INVAL;
  case EAGAIN:
    return ERR_AGAIN;
  case ENOENT:
  case ENOTDIR:
    return ERR_NOENT;
  case EACCES:
  case EPERM:
    return ERR_ACCESS;
  case ENOSPC:
  case EDQUOT:
    return ERR_NOSPC;
  case EROFS:
    return ERR_ROFS;
  case EISDIR:
    return ERR_ISDIR;
  case EOPNOTSUPP:
  case ENOSYS:
    return ERR_NOTSUP;
  case ETIMEDOUT:
    return ERR_TIMEOUT;
  case ECONNREFUSED:
  case EHOSTUNREACH:
  case ENETUNREACH:
    return ERR_DIAL;
  case ECONNRESET:
  case EPIPE:
    return ERR_CLOSED;
  case EMFILE:
  case ENFILE:
    return ERR_LIMIT;
  default:
    return ERR_IO;
  }
}

enum err
fault_set (struct fault *f, enum err code, const char *fmt, ...)
{
  va_list ap;

  if (!f)
    return code;
  f->code = code;
  f->hint[0] = 0;
  va_start (ap, fmt);
  vsnprintf (f->text, sizeof f->text, fmt, ap);
  va_end (ap);
  text_clean (f->text); /* the words may come from a server */
  return code;
}

void
fault_hint (struct fault *f, const char *fmt, ...)
{
  va_list ap;

  if (!f)
    return;
  va_start (ap, fmt);
  vsnprintf (f->hint, sizeof f->hint, fmt, ap);
  va_end (ap);
  text_clean (f->hint);
}
