/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/iscsi/pdu.h"

#include <string.h>

#include "common/wire.h"

#define OPCODE_MASK 0x3fu
#define IMMEDIATE 0x40u
#define FINAL 0x80u   /* F bit; T bit of a login; byte 1 of every PDU */
#define MORE 0x40u    /* C bit of text and login */

static const struct {
  uint8_t opcode;
  const char *name, *section;
} opcodes[] = {
    {PDU_NOP_OUT, "NOP-Out", "11.18"},
    {PDU_SCSI_COMMAND, "SCSI Command", "11.3"},
    {PDU_TASK_REQUEST, "Task Management Function Request", "11.5"},
    {PDU_LOGIN_REQUEST, "Login Request", "11.12"},
    {PDU_TEXT_REQUEST, "Text Request", "11.10"},
    {PDU_DATA_OUT, "SCSI Data-Out", "11.7"},
    {PDU_LOGOUT_REQUEST, "Logout Request", "11.14"},
    {PDU_NOP_IN, "NOP-In", "11.19"},
    {PDU_SCSI_RESPONSE, "SCSI Response", "11.4"},
    {PDU_TASK_RESPONSE, "Task Management Function Response", "11.6"},
    {PDU_LOGIN_RESPONSE, "Login Response", "11.13"},
    {PDU_TEXT_RESPONSE, "Text Response", "11.11"},
    {PDU_DATA_IN, "SCSI Data-In", "11.7"},
    {PDU_LOGOUT_RESPONSE, "Logout Response", "11.15"},
    {PDU_R2T, "R2T", "11.8"},
    {PDU_ASYNC, "Asynchronous Message", "11.9"},
    {PDU_REJECT, "Reject", "11.17"},
};

const char *
pdu_opcode_name (uint8_t opcode)
{
  for (size_t i = 0; i < sizeof opcodes / sizeof opcodes[0]; i++)
    if (opcodes[i].opcode == opcode)
      return opcodes[i].name;
  return NULL;
}

const char *
pdu_opcode_section (uint8_t opcode)
{
  for (size_t i = 0; i < sizeof opcodes / sizeof opcodes[0]; i++)
    if (opcodes[i].opcode == opcode)
      return opcodes[i].section;
  return "11.2.1.2";
}

/* -------------------------------------------------------------- decoding ---
 */

static uint32_t
u24 (const uint8_t *p)
{
  return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static uint16_t
u16 (const uint8_t *p)
{
  struct wire w = wire_init (p, 2);

  return wire_u16 (&w);
}

static uint32_t
u32 (const uint8_t *p)
{
  struct wire w = wire_init (p, 4);

  return wire_u32 (&w);
}

static uint64_t
u64 (const uint8_t *p)
{
  struct wire w = wire_init (p, 8);

  return wire_u64 (&w);
}

static void
decode_login_response (const uint8_t *b, struct pdu *p)
{
  p->login_response.more = b[1] & MORE;
  p->login_response.csg = b[1] >> 2 & 3;
  p->login_response.nsg = b[1] & 3;
  p->login_response.version_max = b[2];
  p->login_response.version_active = b[3];
  memcpy (p->login_response.isid, b + 8, 6);
  p->login_response.tsih = u16 (b + 14);
  p->login_response.status_class = b[36];
  p->login_response.status_detail = b[37];
}

static void
decode_data_in (const uint8_t *b, struct pdu *p)
{
  p->data_in.acknowledge = b[1] & 0x40;
  p->data_in.has_status = b[1] & 0x01;
  p->data_in.residual_flags
      = b[1] & (PDU_RESIDUAL_OVERFLOW | PDU_RESIDUAL_UNDERFLOW);
  p->data_in.status = b[3];
  p->data_in.data_sn = u32 (b + 36);
  p->data_in.buffer_offset = u32 (b + 40);
  p->data_in.residual = u32 (b + 44);
}

/* What is behind the fields that all have. False: no opcode of a target. */
static bool
decode_specific (const uint8_t *b, struct pdu *p)
{
  switch (p->opcode) {
  case PDU_NOP_IN:
    return true;
  case PDU_SCSI_RESPONSE:
    p->scsi_response.residual_flags
        = b[1] & (PDU_RESIDUAL_OVERFLOW | PDU_RESIDUAL_UNDERFLOW);
    p->scsi_response.response = b[2];
    p->scsi_response.status = b[3];
    p->scsi_response.exp_data_sn = u32 (b + 36);
    p->scsi_response.residual = u32 (b + 44);
    return true;
  case PDU_TASK_RESPONSE:
    p->task_response.response = b[2];
    return true;
  case PDU_LOGIN_RESPONSE:
    decode_login_response (b, p);
    return true;
  case PDU_TEXT_RESPONSE:
    p->text_response.more = b[1] & MORE;
    return true;
  case PDU_DATA_IN:
    decode_data_in (b, p);
    return true;
  case PDU_LOGOUT_RESPONSE:
    p->logout_response.response = b[2];
    p->logout_response.time2wait_s = u16 (b + 40);
    p->logout_response.time2retain_s = u16 (b + 42);
    return true;
  case PDU_R2T:
    p->r2t.r2t_sn = u32 (b + 36);
    p->r2t.buffer_offset = u32 (b + 40);
    p->r2t.desired_bytes = u32 (b + 44);
    return true;
  case PDU_ASYNC:
    p->async.event = b[36];
    p->async.vendor_code = b[37];
    p->async.parameter1 = u16 (b + 38);
    p->async.parameter2 = u16 (b + 40);
    p->async.parameter3 = u16 (b + 42);
    return true;
  case PDU_REJECT:
    p->reject.reason = b[2];
    p->reject.data_sn = u32 (b + 36);
    return true;
  default:
    return false;
  }
}

enum err
pdu_decode (const uint8_t b[PDU_BHS_BYTES], struct pdu *ret, struct fault *f)
{
  struct pdu p = {
      .opcode = b[0] & OPCODE_MASK,
      .final = b[1] & FINAL,
      .ahs_bytes = b[4] * 4u,
      .data_bytes = u24 (b + 5),
      .lun = u64 (b + 8),
      .itt = u32 (b + 16),
      .ttt = u32 (b + 20),
      .stat_sn = u32 (b + 24),
      .exp_cmd_sn = u32 (b + 28),
      .max_cmd_sn = u32 (b + 32),
  };
  const char *name = pdu_opcode_name (p.opcode);

  if (!decode_specific (b, &p))
    return fault_set (f, ERR_PEER,
                      "the target sends a PDU that a target may not send: %s, "
                      "opcode %02xh (field Opcode, RFC 7143 §11.2.1.2)",
                      name ? name : "unknown", p.opcode);
  *ret = p;
  return ERR_OK;
}

/* -------------------------------------------------------------- encoding ---
 */

static void
put_u16 (uint8_t *p, uint16_t v)
{
  struct wirebuf b = wirebuf_init (p, 2);

  wirebuf_u16 (&b, v);
}

static void
put_u32 (uint8_t *p, uint32_t v)
{
  struct wirebuf b = wirebuf_init (p, 4);

  wirebuf_u32 (&b, v);
}

static void
put_u64 (uint8_t *p, uint64_t v)
{
  struct wirebuf b = wirebuf_init (p, 8);

  wirebuf_u64 (&b, v);
}

/* Everything 0 but what all PDUs of an initiator have. */
static void
put_head (uint8_t *b, uint8_t opcode, uint8_t flags, uint32_t data_bytes,
          uint32_t itt, uint32_t cmd_sn, uint32_t exp_stat_sn)
{
  memset (b, 0, PDU_BHS_BYTES);
  b[0] = opcode;
  b[1] = flags;
  b[5] = (uint8_t)(data_bytes >> 16);
  b[6] = (uint8_t)(data_bytes >> 8);
  b[7] = (uint8_t)data_bytes;
  put_u32 (b + 16, itt);
  put_u32 (b + 24, cmd_sn);
  put_u32 (b + 28, exp_stat_sn);
}

void
pdu_encode_scsi_command (uint8_t b[PDU_BHS_BYTES],
                         const struct pdu_scsi_command *c)
{
  const uint8_t simple = 1; /* ATTR, §11.3.1 */

  put_head (b, PDU_SCSI_COMMAND,
            (uint8_t)((c->final ? FINAL : 0) | (c->read ? 0x40 : 0)
                      | (c->write ? 0x20 : 0) | simple),
            c->data_bytes, c->itt, c->cmd_sn, c->exp_stat_sn);
  put_u64 (b + 8, c->lun);
  put_u32 (b + 20, c->expected_bytes);
  memcpy (b + 32, c->cdb, PDU_CDB_BYTES);
}

void
pdu_encode_data_out (uint8_t b[PDU_BHS_BYTES], const struct pdu_data_out *d)
{
  put_head (b, PDU_DATA_OUT, d->final ? FINAL : 0, d->data_bytes, d->itt, 0,
            d->exp_stat_sn);
  put_u64 (b + 8, d->lun);
  put_u32 (b + 20, d->ttt);
  put_u32 (b + 36, d->data_sn);
  put_u32 (b + 40, d->buffer_offset);
}

void
pdu_encode_nop_out (uint8_t b[PDU_BHS_BYTES], const struct pdu_nop_out *n)
{
  put_head (b, PDU_NOP_OUT | IMMEDIATE, FINAL, n->data_bytes, n->itt,
            n->cmd_sn, n->exp_stat_sn);
  put_u64 (b + 8, n->lun);
  put_u32 (b + 20, n->ttt);
}

void
pdu_encode_task_request (uint8_t b[PDU_BHS_BYTES],
                         const struct pdu_task_request *t)
{
  put_head (b, PDU_TASK_REQUEST | IMMEDIATE, (uint8_t)(FINAL | t->function), 0,
            t->itt, t->cmd_sn, t->exp_stat_sn);
  put_u64 (b + 8, t->lun);
  put_u32 (b + 20, t->referenced_itt);
  put_u32 (b + 32, t->ref_cmd_sn);
}

void
pdu_encode_login_request (uint8_t b[PDU_BHS_BYTES],
                          const struct pdu_login_request *l)
{
  put_head (b, PDU_LOGIN_REQUEST | IMMEDIATE,
            (uint8_t)((l->transit ? FINAL : 0) | (l->more ? MORE : 0)
                      | l->csg << 2 | (l->transit ? l->nsg : 0)),
            l->data_bytes, l->itt, l->cmd_sn, l->exp_stat_sn);
  memcpy (b + 8, l->isid, 6);
  put_u16 (b + 14, l->tsih);
  put_u16 (b + 20, l->cid);
}

void
pdu_encode_text_request (uint8_t b[PDU_BHS_BYTES],
                         const struct pdu_text_request *t)
{
  put_head (b, PDU_TEXT_REQUEST | IMMEDIATE,
            (uint8_t)((t->final ? FINAL : 0) | (t->more ? MORE : 0)),
            t->data_bytes, t->itt, t->cmd_sn, t->exp_stat_sn);
  put_u64 (b + 8, t->lun);
  put_u32 (b + 20, t->ttt);
}

void
pdu_encode_logout_request (uint8_t b[PDU_BHS_BYTES],
                           const struct pdu_logout_request *l)
{
  put_head (b, PDU_LOGOUT_REQUEST | IMMEDIATE, (uint8_t)(FINAL | l->reason), 0,
            l->itt, l->cmd_sn, l->exp_stat_sn);
  put_u16 (b + 20, l->cid);
}
