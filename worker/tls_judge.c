/* SPDX-License-Identifier: BSD-2-Clause */
/* What RFC 9289 asks of a server beyond what OpenSSL looks at by itself. Called
 * for each certificate of its chain, when ALPN's answer (EncryptedExtensions)
 * is there already, and before ours is sent.
 */
#include "config.h"
#include "worker/tls.h"

#include <stdio.h>
#include <string.h>

#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#define RPC_TLS_SERVER "1.3.6.1.5.5.7.3.34" /* id-kp-rpcTLSServer, §7.3 */
#define SUNRPC "sunrpc"

/* The DNS names that the certificate has (SAN), as many as fit. */
static void
names_of (X509 *x, char dst[TLS_NAMES_BYTES])
{
  GENERAL_NAMES *names = X509_get_ext_d2i (x, NID_subject_alt_name, NULL, NULL);
  size_t used = 0;

  dst[0] = 0;
  for (int i = 0; names && i < sk_GENERAL_NAME_num (names); i++) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value (names, i);
    int n;

    if (name->type != GEN_DNS)
      continue;
    n = snprintf (dst + used, TLS_NAMES_BYTES - used, "%s%.*s",
                  used ? ", " : "", ASN1_STRING_length (name->d.dNSName),
                  (const char *)ASN1_STRING_get0_data (name->d.dNSName));
    if (n < 0 || (size_t)n >= TLS_NAMES_BYTES - used) {
      dst[used] = 0;
      break;
    }
    used += (size_t)n;
  }
  GENERAL_NAMES_free (names);
}

/* §5: the server has to name that protocol, and no other one. */
static bool
confirms_rpc (const struct transport *t)
{
  const unsigned char *name = NULL;
  unsigned bytes = 0;

  SSL_get0_alpn_selected (t->ssl, &name, &bytes);
  if (bytes == 0)
    return t->config.tls_any_alpn;
  return bytes == strlen (SUNRPC) && memcmp (name, SUNRPC, bytes) == 0;
}

/* A purpose that OpenSSL does not know: a server of RPC over TLS alone. */
static bool
is_rpc_server (X509 *x)
{
  EXTENDED_KEY_USAGE *usages =
      X509_get_ext_d2i (x, NID_ext_key_usage, NULL, NULL);
  bool found = false;

  for (int i = 0; usages && i < sk_ASN1_OBJECT_num (usages); i++) {
    char oid[64];

    OBJ_obj2txt (oid, sizeof oid, sk_ASN1_OBJECT_value (usages, i), 1);
    found = found || strcmp (oid, RPC_TLS_SERVER) == 0;
  }
  sk_ASN1_OBJECT_pop_free (usages, ASN1_OBJECT_free);
  return found && (X509_get_key_usage (x) & KU_DIGITAL_SIGNATURE);
}

int
tls_judge (int ok, X509_STORE_CTX *ctx)
{
  SSL *ssl =
      X509_STORE_CTX_get_ex_data (ctx, SSL_get_ex_data_X509_STORE_CTX_idx ());
  struct transport *t = SSL_get_app_data (ssl);
  X509 *x = X509_STORE_CTX_get0_cert (ctx);

  if (!ok && X509_STORE_CTX_get_error (ctx) == X509_V_ERR_INVALID_PURPOSE
      && X509_STORE_CTX_get_error_depth (ctx) == 0
      && is_rpc_server (X509_STORE_CTX_get_current_cert (ctx))) {
    X509_STORE_CTX_set_error (ctx, X509_V_OK);
    ok = 1;
  }
  if (ok && !confirms_rpc (t)) {
    X509_STORE_CTX_set_error (ctx, X509_V_ERR_APPLICATION_VERIFICATION);
    ok = 0;
  }
  if (!ok && x)
    names_of (x, t->names);
  return ok;
}
