/* SPDX-License-Identifier: BSD-2-Clause */
/* What a worker says to the daemon, and what it is told. Each message is legal
 * in the states of the table below; all bytes are a stranger's.
 */
#include "config.h"
#include "cache/supervisor_private.h"

#include <string.h>

#include <openssl/crypto.h>

#include "ipc/want.h"
#include "sandbox/sandbox.h"

#define SIGN_BYTES 16384

#define IN(state) (1u << SUP_##state)

/* The body's handler: ERR_OK, or why the worker must end. */
typedef enum err
on_message (struct supervisor *s, struct wire *w, struct fault *f);

static on_message on_sealed, on_hostkey, on_auth, on_sign, on_want, on_ready,
    on_fail, on_cert_sign;

/* A protocol that logs in by SSH, one that does not, or both. */
enum of { OF_SSH = 1, OF_OTHERS = 2, OF_ALL = 3 };

static const struct {
  enum control_type type;
  enum of of;
  unsigned states;
  on_message *handle;
} legal[] = {
    {CONTROL_SEALED, OF_ALL, IN (SPAWNED), on_sealed},
    {CONTROL_HOSTKEY, OF_SSH, IN (SEALED), on_hostkey},
    {CONTROL_AUTH, OF_SSH, IN (TRUSTED) | IN (OFFERED), on_auth},
    {CONTROL_SIGN, OF_SSH, IN (OFFERED), on_sign},
    /* TRUSTED: a server that lets this user in without any proof */
    {CONTROL_READY, OF_SSH, IN (TRUSTED) | IN (OFFERED), on_ready},
    {CONTROL_CERT_SIGN, OF_OTHERS, IN (SEALED), on_cert_sign},
    {CONTROL_WANT, OF_OTHERS, IN (SEALED) | IN (READY), on_want},
    {CONTROL_READY, OF_OTHERS, IN (SEALED), on_ready},
    {CONTROL_FAIL, OF_ALL,
     IN (SPAWNED) | IN (SEALED) | IN (TRUSTED) | IN (OFFERED) | IN (ASKING)
         | IN (READY),
     on_fail},
};

static enum err
damaged (struct supervisor *s, struct fault *f)
{
  return fault_set (f, ERR_PEER, "the worker sent a damaged %s message",
                    control_type_name (s->message.type));
}

/* The worker reads whenever it waits for us: a full socket is a broken one. */
static enum err
send_message (struct supervisor *s, const struct wirebuf *b, struct fault *f)
{
  enum err e = control_send (s->worker.control_fd, &s->message, b, 0);

  OPENSSL_cleanse (s->message.body, b->used_bytes);
  return e ? fault_set (f, e, "cannot talk to the worker: %s", err_text (e))
           : ERR_OK;
}

/* All connections of the volume may be one session's; the others' workers are
 * not started then.
 */
static unsigned
most_lanes (const struct supervisor *s)
{
  return s->c.path == 0 ? s->c.paths : 1;
}

enum err
sup_send_config (struct supervisor *s, struct fault *f)
{
  const struct tls_login *tls = &s->c.login->tls;
  char types[HOSTKEY_TYPES_BYTES];
  struct wirebuf b;

  login_hostkey_types (&s->login, types);
  control_begin (&s->message, CONTROL_CONFIG);
  b = control_body (&s->message);
  wirebuf_u64 (&b, s->epoch);
  wirebuf_u8 (&b, (uint8_t)s->c.path);
  wirebuf_u8 (&b, (uint8_t)s->worker.lanes);
  wirebuf_u8 (&b, (uint8_t)most_lanes (s));
  volume_spec_put (&b, s->c.spec);
  wirebuf_cstring (&b, types);
  wirebuf_string (&b, s->route.moved, s->route.moved_bytes);
  wirebuf_u8 (&b, tls->on);
  wirebuf_cstring (&b, tls->name);
  wirebuf_cstring (&b, tls->chain ? tls->chain : "");
  return send_message (s, &b, f);
}

static enum err
on_sealed (struct supervisor *s, struct wire *w, struct fault *f)
{
  uint32_t layers = wire_u32 (w);
  char text[400];

  if (wire_end (w))
    return damaged (s, f);
  if ((layers & SBX_MANDATORY) != SBX_MANDATORY)
    return fault_set (f, ERR_SANDBOX,
                      "the worker lacks a mandatory layer of its sandbox");
  /* What the daemon does is not the worker's to say. */
  layers &= ~(uint32_t)SBX_LAYER_CGROUP;
  layers = s->layers |= layers;
  sbx_layers_text (layers, text, sizeof text);
  log_write (s->c.daemon->log, LOG_LEVEL_DEBUG, "%s: worker %d sealed: %s",
             s->c.name, (int)s->worker.pid, text);
  sup_set_state (s, SUP_SEALED);
  return ERR_OK;
}

static enum err
on_hostkey (struct supervisor *s, struct wire *w, struct fault *f)
{
  size_t blob_bytes;
  const uint8_t *blob = wire_string (w, HOSTKEY_BLOB_BYTES, &blob_bytes);
  struct wirebuf b;
  enum err e;

  if (wire_end (w) || blob_bytes == 0)
    return damaged (s, f);
  if ((e = login_hostkey (&s->login, blob, blob_bytes, f)))
    return e;
  sup_set_state (s, SUP_TRUSTED);
  control_begin (&s->message, CONTROL_HOSTKEY_OK);
  b = control_body (&s->message);
  return send_message (s, &b, f);
}

static void
on_agent_keys (void *ctx, const uint8_t *answer, size_t answer_bytes,
               const struct fault *why);
static void
on_agent_signature (void *ctx, const uint8_t *answer, size_t answer_bytes,
                    const struct fault *why);

/* True if done will be called; else why says why not. */
static bool
ask_agent (struct supervisor *s, const struct wirebuf *question,
           agent_done *done, struct fault *why)
{
  if (question->err) {
    fault_set (why, ERR_LIMIT, "too long for the agent");
    return false;
  }
  if (agent_ask (s->c.agent, question->base, question->used_bytes, done, s,
                 &s->question, why))
    return false;
  sup_set_state (s, SUP_ASKING);
  return true;
}

/* Tells the worker what to try next, now or when the agent has answered. */
static enum err
offer_next (struct supervisor *s, struct fault *f)
{
  struct wirebuf b = control_body (&s->message);
  struct fault nothing_left = {0}, why = {0};
  enum control_type type =
      login_next (&s->login, s->methods, &b, &nothing_left);
  enum err e;

  if (type == LOGIN_ASK_AGENT) {
    if (ask_agent (s, &b, on_agent_keys, &why))
      return ERR_OK;
    login_agent_keys (&s->login, NULL, 0, &why);
    b = control_body (&s->message);
    type = login_next (&s->login, s->methods, &b, &nothing_left);
  }
  control_begin (&s->message, type);
  if ((e = send_message (s, &b, f)))
    return e;
  if (type == CONTROL_AUTH_NONE) {
    /* Its words are the daemon's, whatever the worker makes of them. */
    *f = nothing_left;
    return f->code;
  }
  sup_set_state (s, SUP_OFFERED);
  return ERR_OK;
}

static void
on_agent_keys (void *ctx, const uint8_t *answer, size_t answer_bytes,
               const struct fault *why)
{
  struct supervisor *s = ctx;
  struct fault f = {0};

  s->question = NULL;
  login_agent_keys (&s->login, answer, answer_bytes, why);
  if (offer_next (s, &f))
    sup_end_worker (s, SUP_END_KILL, &f);
}

static enum err
on_auth (struct supervisor *s, struct wire *w, struct fault *f)
{
  wire_cstring (w, s->methods, sizeof s->methods);
  return wire_end (w) ? damaged (s, f) : offer_next (s, f);
}

static enum err
send_agent_signature (struct supervisor *s, const uint8_t *answer,
                      size_t answer_bytes, const struct fault *why,
                      struct fault *f)
{
  struct wirebuf b;

  control_begin (&s->message, CONTROL_SIGNATURE);
  b = control_body (&s->message);
  login_agent_signature (&s->login, answer, answer_bytes, why, &b);
  return send_message (s, &b, f);
}

static void
on_agent_signature (void *ctx, const uint8_t *answer, size_t answer_bytes,
                    const struct fault *why)
{
  struct supervisor *s = ctx;
  struct fault f = {0};

  s->question = NULL;
  if (send_agent_signature (s, answer, answer_bytes, why, &f))
    sup_end_worker (s, SUP_END_KILL, &f);
  else
    sup_set_state (s, SUP_OFFERED);
}

static enum err
on_sign (struct supervisor *s, struct wire *w, struct fault *f)
{
  size_t data_bytes;
  const uint8_t *data = wire_string (w, SIGN_BYTES, &data_bytes);
  uint8_t result[AGENT_QUESTION_BYTES];
  struct wirebuf r = wirebuf_init (result, sizeof result);
  struct fault why = {0};
  struct wirebuf b;
  enum err e;

  if (wire_end (w))
    return damaged (s, f);
  e = login_sign (&s->login, data, data_bytes, &r, f);
  if (e == ERR_AGAIN)
    return ask_agent (s, &r, on_agent_signature, &why)
               ? ERR_OK
               : send_agent_signature (s, NULL, 0, &why, f);
  if (e)
    return e;
  control_begin (&s->message, CONTROL_SIGNATURE);
  b = control_body (&s->message);
  wirebuf_bytes (&b, r.base, r.used_bytes);
  return send_message (s, &b, f);
}

/* Once a lane, as each has one handshake. */
static enum err
on_cert_sign (struct supervisor *s, struct wire *w, struct fault *f)
{
  uint16_t scheme = wire_u16 (w);
  size_t content_bytes, n = 0;
  const uint8_t *content
      = wire_string (w, TLS_CONTENT_BYTES, &content_bytes);
  uint8_t signature[TLS_SIGNATURE_BYTES];
  struct wirebuf b;
  enum err e;

  if (wire_end (w))
    return damaged (s, f);
  if (s->certs_signed == s->worker.lanes)
    return fault_set (
        f, ERR_LIMIT,
        "the worker asked for more signatures of ours than it has "
        "connections (%u)",
        s->worker.lanes);
  s->certs_signed++;
  if ((e = tls_login_sign (&s->c.login->tls, scheme, content, content_bytes,
                           signature, &n, f)))
    return e;
  log_write (s->c.daemon->log, LOG_LEVEL_DEBUG,
             "%s: worker %d shows our certificate", s->c.name,
             (int)s->worker.pid);
  control_begin (&s->message, CONTROL_CERT_SIGNATURE);
  b = control_body (&s->message);
  wirebuf_string (&b, signature, n);
  return send_message (s, &b, f);
}

static struct chap_secrets
secrets_of (const struct login_config *l)
{
  bool mutual = l->has_target_password;

  return (struct chap_secrets){
      .user = l->has_password ? l->user : NULL,
      .secret = l->has_password ? l->password : NULL,
      .target_user = mutual ? l->target_user : NULL,
      .target_secret = mutual ? l->target_password : NULL};
}

static void
judge_secrets (struct supervisor *s)
{
  const struct login_config *l = s->c.login;
  bool own = l->has_password && strlen (l->password) < CHAP_SECRET_BYTES;

  if (!s->secrets_judged
      && (own
          || (l->has_target_password
              && strlen (l->target_password) < CHAP_SECRET_BYTES)))
    log_write (s->c.daemon->log, LOG_LEVEL_WARN,
               "%s: %s= has less than %u bytes: whoever sees the login can "
               "guess it (RFC 7143)",
               s->c.name, own ? "password" : "target-password",
               CHAP_SECRET_BYTES);
  s->secrets_judged = true;
}

/* The worker has no more to say; it ends by itself. */
static enum err
move_on (struct supervisor *s, const struct proto_want *want, struct fault *f)
{
  const struct login_config *l = s->c.login;
  char text[PLACE_TEXT_BYTES];
  struct fault why = {0};
  enum err e;

  if (want->lanes > most_lanes (s))
    return fault_set (f, ERR_PEER, "the worker wants %u connections of %u",
                      want->lanes, most_lanes (s));
  if ((e = route_move (&s->route, &l->moves, &l->portals, &s->addresses, want,
                       f)))
    return e;
  place_text (&s->route.now, text);
  if (want->lanes > 1)
    fault_set (&why, ERR_CLOSED, "the session goes on over %u connections",
               want->lanes);
  else
    fault_set (&why, ERR_CLOSED, "the server sends us on to %s (%s)", text,
               want->why);
  log_write (s->c.daemon->log, LOG_LEVEL_DEBUG, "%s: %s", s->c.name, why.text);
  s->moving = s->reported = true;
  sup_end_worker (s, SUP_END_AWAIT, &why);
  return ERR_OK;
}

static enum err
on_want (struct supervisor *s, struct wire *w, struct fault *f)
{
  struct chap_secrets secrets = secrets_of (s->c.login);
  struct proto_given given;
  struct proto_want want;
  struct wirebuf b;
  enum err e;

  if (want_take (w, &want) || wire_end (w))
    return damaged (s, f);
  if (want.type == PROTO_WANT_MOVE)
    return move_on (s, &want, f);
  if (s->state == SUP_READY)
    return fault_set (f, ERR_PEER, "the worker logs in after it was ready");
  judge_secrets (s);
  if ((e = chap_answer (&s->chap, &secrets, &s->c.daemon->chap_issued, &want,
                        &given, f)))
    return e;
  if (want.type == PROTO_WANT_CHAP && !given.error)
    log_write (s->c.daemon->log, LOG_LEVEL_INFO,
               "%s: worker %d logs in by %sCHAP with %s", s->c.name,
               (int)s->worker.pid, want.mutual ? "mutual " : "",
               chap_algorithm_name (want.algorithm));
  control_begin (&s->message, CONTROL_GIVEN);
  b = control_body (&s->message);
  given_put (&b, &given);
  OPENSSL_cleanse (&given, sizeof given);
  return send_message (s, &b, f);
}

/* RFC 9289 §6.1 wants a record of what was chosen; here the user chooses, and
 * the worker goes without nothing of it.
 */
static const char *
security_words (const struct tls_login *t)
{
  return !t->on ? "" : t->key ? ", xprtsec=mtls" : ", xprtsec=tls";
}

static enum err
on_ready (struct supervisor *s, struct wire *w, struct fault *f)
{
  struct chap_secrets secrets = secrets_of (s->c.login);
  struct supervisor_worker fds;
  struct volume_info info;
  enum err e;

  if (volume_info_take (w, &info) || wire_end (w))
    return damaged (s, f);
  if ((e = chap_may_be_ready (&s->chap, &secrets, f))
      || (e = s->c.hooks->check (s->c.hooks_ctx, &info, f)))
    return e;
  sup_set_state (s, SUP_READY);
  login_end (&s->login);
  route_ready (&s->route);
  if (s->c.login->keeps_source_port)
    s->source_port = dial_source_port (s->worker.net_fd[0]);
  s->ready_since = ev_now (s->c.daemon->loop);
  s->ever_ready = true;
  s->announced = true;
  log_write (s->c.daemon->log, LOG_LEVEL_INFO,
             "%s: worker %d ready, epoch %llu%s%s%s", s->c.name,
             (int)s->worker.pid, (unsigned long long)s->epoch,
             security_words (&s->c.login->tls), info.remarks[0] ? ": " : "",
             info.remarks);
  fds = (struct supervisor_worker){.control_fd = s->worker.gateway_fd,
                                   .pidfd = s->worker.pidfd,
                                   .net_fd = s->worker.net_fd,
                                   .lanes = s->worker.lanes,
                                   .layers = s->layers,
                                   .shared = s->route.lanes > 1};
  s->c.hooks->worker (s->c.hooks_ctx, s->epoch, &info, &fds);
  /* Ours must not keep the socket open when the gateway closes its own. */
  close (s->worker.gateway_fd);
  s->worker.gateway_fd = -1;
  return ERR_OK;
}

static enum err
on_fail (struct supervisor *s, struct wire *w, struct fault *f)
{
  struct fault theirs;

  if (fault_take (w, &theirs) || wire_end (w))
    return damaged (s, f);
  *f = theirs;
  s->reported = true;
  return f->code;
}

static enum err
dispatch (struct supervisor *s, struct fault *f)
{
  struct control *m = &s->message;
  struct wire w = wire_init (m->body, m->length_bytes);
  enum of of = s->c.login->ssh ? OF_SSH : OF_OTHERS;

  if (m->fds)
    return fault_set (f, ERR_PEER, "the worker sent a file descriptor");
  for (size_t i = 0; i < sizeof legal / sizeof legal[0]; i++)
    if (legal[i].type == m->type && (legal[i].of & of)
        && (legal[i].states & 1u << s->state))
      return legal[i].handle (s, &w, f);
  return fault_set (f, ERR_PEER, "the worker sent %s (%u) in state %s",
                    control_type_name (m->type), m->type,
                    sup_state_name (s->state));
}

void
sup_converse (struct supervisor *s)
{
  while (s->state >= SUP_SPAWNED && s->state <= SUP_READY && !s->adopted) {
    struct fault f = {0};
    uint16_t type;
    enum err e = control_recv (s->worker.control_fd, &s->message, 0);

    if (e == ERR_AGAIN)
      return;
    if (e == ERR_CLOSED) {
      sup_end_worker (s, SUP_END_AWAIT, NULL);
      return;
    }
    if (e) {
      fault_set (&f, e, "the worker's control socket: %s", err_text (e));
      sup_end_worker (s, SUP_END_KILL, &f);
      return;
    }
    /* Answers are built in the same buffer. */
    type = s->message.type;
    e = dispatch (s, &f);
    control_close (&s->message);
    if (e)
      sup_end_worker (s, type == CONTROL_FAIL ? SUP_END_AWAIT : SUP_END_KILL,
                      &f);
  }
}
