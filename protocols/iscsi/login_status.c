/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/iscsi/login_status.h"

/* RFC 7143 §11.13.5. What a person can do about it is in the second line. */
static const struct {
  uint8_t class, detail;
  enum err error;
  const char *text, *hint;
} table[] = {
    {2, 0x00, ERR_PEER, "the target found the login request wrong", ""},
    {2, 0x01, ERR_AUTH, "the target refuses the user name or the password",
     "are user= and password= given, and right? With tgt and LIO the account "
     "must be bound to this target and this initiator-name="},
    {2, 0x02, ERR_ACCESS, "this initiator is not allowed to use the target",
     "the target's access list must have the initiator's name "
     "(initiator-name=) or this machine's address"},
    {2, 0x03, ERR_NOENT, "there is no such target",
     "bulkhead discover with a URL without the name shows the targets"},
    {2, 0x04, ERR_NOENT, "the target has been removed, and no other address is "
                         "known", ""},
    {2, 0x05, ERR_NOTSUP, "the target does not support our iSCSI version", ""},
    {2, 0x06, ERR_LIMIT, "the target takes no more connections of this session",
     ""},
    {2, 0x07, ERR_PEER, "the target says that a key is missing", ""},
    {2, 0x08, ERR_PEER, "the target says that this connection cannot be part "
                        "of the session", ""},
    {2, 0x09, ERR_NOTSUP, "the target does not support this session type",
     "it has no discovery: name the target in the URL"},
    {2, 0x0a, ERR_PEER, "the target says that the session does not exist", ""},
    {2, 0x0b, ERR_PEER, "the target does not take this request during login",
     ""},
    {3, 0x00, ERR_IO, "the target has an error of its own", ""},
    {3, 0x01, ERR_IO, "the target is not working now", ""},
    {3, 0x02, ERR_LIMIT, "the target has no room for another session",
     "end other sessions, or raise its limit"},
};

enum err
login_status (uint8_t class, uint8_t detail, struct fault *f)
{
  enum err e;

  for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++)
    if (table[i].class == class && table[i].detail == detail) {
      e = fault_set (f, table[i].error,
                     "%s (login status %02x%02xh, RFC 7143 §11.13.5)",
                     table[i].text, class, detail);
      if (table[i].hint[0])
        fault_hint (f, "%s", table[i].hint);
      return e;
    }
  return fault_set (f, class == 3 ? ERR_IO : ERR_PEER,
                    "the target refuses the login with the unknown status "
                    "%02x%02xh (RFC 7143 §11.13.5)",
                    class, detail);
}
