/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/nfs/v4_proto.h"

#include <stddef.h>

static const struct v4_status table[] = {
#define X(name, number, error, recovery)                                       \
  {number, "NFS4ERR_" #name, ERR_##error, V4_DO_##recovery},
    V4_STATUS_TABLE (X)
#undef X
};

const struct v4_status *
v4_status_find (uint32_t status)
{
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
    if (table[i].number == status)
      return &table[i];
  return NULL;
}

const char *
v4_op_name (uint32_t op)
{
  static const struct {
    uint32_t op;
    const char *name;
  } names[] = {
#define N(name) {OP_##name, #name}
      N (ACCESS),
      N (CLOSE),
      N (COMMIT),
      N (DELEGRETURN),
      N (GETATTR),
      N (GETFH),
      N (LOOKUP),
      N (OPEN),
      N (PUTFH),
      N (PUTROOTFH),
      N (READ),
      N (READDIR),
      N (READLINK),
      N (SETATTR),
      N (WRITE),
      N (BIND_CONN_TO_SESSION),
      N (EXCHANGE_ID),
      N (CREATE_SESSION),
      N (DESTROY_SESSION),
      N (FREE_STATEID),
      N (SEQUENCE),
      N (TEST_STATEID),
      N (DESTROY_CLIENTID),
      N (RECLAIM_COMPLETE),
      N (ALLOCATE),
      N (DEALLOCATE),
      N (READ_PLUS),
      N (SEEK),
#undef N
  };

  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (names[i].op == op)
      return names[i].name;
  return "operation";
}
