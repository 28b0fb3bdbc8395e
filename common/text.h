/* SPDX-License-Identifier: BSD-2-Clause */
/* Words for people, whoever they come from: nothing in them may move a cursor,
 * and they must be UTF-8, as JSON has no place for anything else. Pure.
 */
#ifndef BH_COMMON_TEXT_H
#define BH_COMMON_TEXT_H

/* Each byte of a control character (C0, DEL, C1), and each that is not a part
 * of well-formed UTF-8 (RFC 3629 §4), becomes '?'; so does the rest of a
 * character that was cut in two.
 */
void text_clean (char *text);

#endif
