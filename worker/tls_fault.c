/* SPDX-License-Identifier: BSD-2-Clause */
/* OpenSSL's errors in words, with what to do about them. */
#include "config.h"
#include "worker/tls.h"

#include <errno.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <openssl/x509_vfy.h>

static enum err
untrusted (const struct transport *t, long result, struct fault *f)
{
  const char *name = t->config.tls_name;

  switch (result) {
  case X509_V_ERR_HOSTNAME_MISMATCH:
  case X509_V_ERR_IP_ADDRESS_MISMATCH:
    fault_set (f, ERR_HOSTKEY, "the server's certificate is not for %s%s%s",
               name, t->names[0] ? ", but for " : "", t->names);
    if (strchr (t->names, '*'))
      fault_hint (f, "RFC 9289 §5.2.1 allows no wildcard: the server needs a "
                     "certificate for its own name; tls-hostname= with the "
                     "asterisk takes that one");
    else
      fault_hint (f, "if that is the right server, write the certificate's "
                     "name in the URL, or give tls-hostname=");
    break;
  case X509_V_ERR_CERT_HAS_EXPIRED:
  case X509_V_ERR_CERT_NOT_YET_VALID:
    fault_set (f, ERR_HOSTKEY, "the server's certificate %s",
               result == X509_V_ERR_CERT_HAS_EXPIRED ? "has expired"
                                                     : "is not valid yet");
    fault_hint (f, "the server needs a new one; or this host's clock is wrong");
    break;
  case X509_V_ERR_APPLICATION_VERIFICATION: /* tls_judge */
    fault_set (f, ERR_NOTSUP,
               "the server does not confirm that it speaks RPC (ALPN sunrpc, "
               "RFC 9289 §5)");
    fault_hint (f, "a server that cannot, as Linux's tlshd, is taken with "
                   "tls-alpn=no");
    break;
  case X509_V_ERR_INVALID_PURPOSE:
    fault_set (f, ERR_HOSTKEY,
               "the server's certificate is not one of a server (extended key "
               "usage, RFC 9289 §5.2.1)");
    fault_hint (f, "the server needs one with serverAuth or "
                   "id-kp-rpcTLSServer, or without that extension");
    break;
  default:
    fault_set (f, ERR_HOSTKEY, "the server's certificate is not trusted: %s",
               X509_verify_cert_error_string (result));
    fault_hint (f, "give the certificate of whoever signed it: "
                   "tls-certificates=DIR with ca-cert.pem, or tls-ca=FILE");
  }
  return f->code;
}

/* The alerts that a server sends about us; RFC 8446 §6.2. OpenSSL's reason is
 * 1000 more.
 */
static enum err
alerted (int alert, const char *reason, struct fault *f)
{
  switch (alert) {
  case SSL_AD_PROTOCOL_VERSION:
    fault_set (f, ERR_NOTSUP, "the server has no TLS 1.3");
    fault_hint (f, "RPC over TLS needs it (RFC 9289 §5): update the server");
    break;
  case SSL_AD_CERTIFICATE_REQUIRED:
    fault_set (f, ERR_AUTH, "the server wants a certificate of ours");
    fault_hint (f, "give xprtsec=mtls and tls-certificates=DIR with "
                   "client-cert.pem and client-key.pem");
    break;
  case SSL_AD_BAD_CERTIFICATE:
  case SSL_AD_UNSUPPORTED_CERTIFICATE:
  case SSL_AD_CERTIFICATE_REVOKED:
  case SSL_AD_CERTIFICATE_EXPIRED:
  case SSL_AD_CERTIFICATE_UNKNOWN:
  case SSL_AD_UNKNOWN_CA:
  case SSL_AD_ACCESS_DENIED:
  case SSL_AD_DECRYPT_ERROR:
    fault_set (f, ERR_AUTH, "the server refuses our certificate: %s",
               SSL_alert_desc_string_long (alert));
    fault_hint (f, "whoever signed it must be trusted by the server");
    break;
  case SSL_AD_NO_APPLICATION_PROTOCOL:
    fault_set (f, ERR_NOTSUP,
               "what answers there with TLS does not speak RPC (ALPN sunrpc)");
    break;
  default:
    fault_set (f, ERR_PEER, "the server ended TLS with an alert: %s",
               reason ? reason : "of an unknown kind");
  }
  return f->code;
}

static enum err
by_reason (struct transport *t, unsigned long error, const char *doing,
           struct fault *f)
{
  int reason = ERR_GET_REASON (error);
  const char *words = ERR_reason_error_string (error);
  long result = SSL_get_verify_result (t->ssl);

  if (ERR_GET_LIB (error) == ERR_LIB_SSL) {
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && result != X509_V_OK)
      return untrusted (t, result, f);
    if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
      return fault_set (f, ERR_CLOSED,
                        "the connection was cut off while %s: TLS was not "
                        "ended before (close_notify)",
                        doing);
    if (reason == SSL_R_WRONG_VERSION_NUMBER
        || reason == SSL_R_UNSUPPORTED_PROTOCOL
        || reason == SSL_R_WRONG_SSL_VERSION) {
      fault_set (f, ERR_PEER,
                 "what the server sent while %s is not TLS 1.3: %s", doing,
                 words ? words : "?");
      return f->code;
    }
    if (reason > SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256)
      return alerted (reason - SSL_AD_REASON_OFFSET, words, f);
  }
  return fault_set (f, ERR_PEER, "TLS failed while %s: %s (OpenSSL)", doing,
                    words ? words : "for an unknown reason");
}

enum err
tls_fault (struct transport *t, int ret, const char *doing, struct fault *f)
{
  int kind = SSL_get_error (t->ssl, ret);
  unsigned long error = ERR_peek_last_error (), next;
  enum err e;

  if (kind == SSL_ERROR_WANT_READ)
    return ERR_AGAIN;
  if (t->sign_fault.code) {
    *f = t->sign_fault;
    e = f->code;
  } else if (kind == SSL_ERROR_ZERO_RETURN)
    e = fault_set (f, ERR_CLOSED, "the server ended the TLS session");
  else if (t->net.sys_errno == ENOBUFS)
    e = fault_set (f, ERR_LIMIT, "the server does not read what we send");
  else if (t->net.sys_errno)
    e = fault_set (f, err_from_errno (t->net.sys_errno),
                   "the connection broke while %s: %s", doing,
                   t->net.sys_errno == ECONNRESET
                       ? "the server reset it"
                       : strerrordesc_np (t->net.sys_errno));
  else {
    /* What libssl made of it says more than what lies below. */
    while ((next = ERR_get_error ()))
      if (ERR_GET_LIB (next) == ERR_LIB_SSL)
        error = next;
    e = by_reason (t, error, doing, f);
  }
  ERR_clear_error ();
  return e;
}
