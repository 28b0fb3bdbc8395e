/* SPDX-License-Identifier: BSD-2-Clause */
/* Why a command has failed, in words, for the log: the client hears of an errno
 * only.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "protocols/iscsi/scsi_disk.h"
#include "protocols/iscsi/scsi_sense.h"

static void
describe (const struct scsi_disk *d, const struct scsi_request *q, char *dst,
          size_t dst_bytes)
{
  const char *name = scsi_opcode_name (q->cdb);
  uint32_t block_bytes = d->info.block_min;

  if (q->syncing)
    snprintf (dst, dst_bytes, "%s", name);
  else
    snprintf (dst, dst_bytes, "%s of %u blocks at LBA %llu", name,
              q->part_bytes / block_bytes,
              (unsigned long long)(q->at / block_bytes));
}

static void
explain (const struct scsi_request *q, const struct session_result *r,
         const struct scsi_sense *sense, char *dst, size_t dst_bytes)
{
  char text[SCSI_TEXT_BYTES];
  bool at =
      sense && sense->has_information
      && (sense->key == SCSI_MEDIUM_ERROR || sense->key == SCSI_HARDWARE_ERROR);

  switch (r->outcome) {
  case SESSION_ABORTED:
    snprintf (dst, dst_bytes, "no answer in time, and aborted (timeout=)");
    return;
  case SESSION_TARGET_FAILURE:
    snprintf (dst, dst_bytes,
              "the target could not carry it out (Target "
              "Failure, RFC 7143 §11.4.3)");
    return;
  case SESSION_DONE:
  case SESSION_EVENT:
    break;
  }
  if (r->status == SCSI_GOOD) {
    snprintf (dst, dst_bytes,
              "GOOD, but %u of %u bytes were moved (Residual Count, RFC 7143 "
              "§11.4.5)",
              r->transferred_bytes, q->part_bytes);
    return;
  }
  scsi_outcome_text (r->status, sense, text);
  if (at)
    snprintf (dst, dst_bytes, "%s, at LBA %llu", text,
              (unsigned long long)sense->information);
  else
    snprintf (dst, dst_bytes, "%s", text);
}

/* Where the next line goes; NULL: it is counted only. */
static char *
next_line (struct scsi_disk *d)
{
  if (d->lines == SCSI_LINES) {
    d->lines_lost++;
    return NULL;
  }
  return d->line[(d->lines_first + d->lines++) % SCSI_LINES];
}

void
scsi_disk_remark (struct scsi_disk *d, const char *text)
{
  char *line = next_line (d);

  if (line)
    snprintf (line, PROTO_SAY_BYTES, "%s", text);
}

void
scsi_disk_complain (struct scsi_disk *d, const struct scsi_request *q,
                    const struct session_result *r,
                    const struct scsi_sense *sense)
{
  char what[60], why[SCSI_TEXT_BYTES + 32];
  char *line = next_line (d);
  int n;

  if (!line)
    return;
  describe (d, q, what, sizeof what);
  explain (q, r, sense, why, sizeof why);
  n = snprintf (line, PROTO_SAY_BYTES, "%s: %s", what, why);
  if (d->lines_lost && n > 0 && n < (int)PROTO_SAY_BYTES)
    snprintf (line + n, PROTO_SAY_BYTES - (size_t)n, " (and %u more before)",
              d->lines_lost);
  d->lines_lost = 0;
}

bool
scsi_disk_say (struct scsi_disk *d, char *dst)
{
  if (!d->lines)
    return false;
  memcpy (dst, d->line[d->lines_first], PROTO_SAY_BYTES);
  d->lines_first = (d->lines_first + 1) % SCSI_LINES;
  d->lines--;
  return true;
}
