/* SPDX-License-Identifier: BSD-2-Clause */
/* A SCSI status, and sense data: the input is both. */
#include "config.h"
#include "fuzz/target.h"

#include <string.h>

#include "protocols/iscsi/scsi_sense.h"

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  struct scsi_sense sense, *known = NULL;
  struct scsi_outcome o;
  char text[SCSI_TEXT_BYTES];

  if (!size)
    return 0;
  if (!scsi_decode_sense (data + 1, size - 1, &sense)) {
    MUST (sense.key <= 0xf);
    known = &sense;
  }
  o = scsi_judge (data[0], known);
  MUST (o.verdict <= SCSI_VERDICT_FAILED);
  MUST (o.verdict == SCSI_VERDICT_FAILED ? o.error : true);
  MUST (scsi_outcome_text (data[0], known, text) == text && text[0]
        && strlen (text) < sizeof text);
  return 0;
}
