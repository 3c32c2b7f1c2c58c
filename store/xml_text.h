/* xml_text.h: texts as XML 1.0 has them. Failure is the buffer's sticky flag. */
#ifndef LZR_STORE_XML_TEXT_H
#define LZR_STORE_XML_TEXT_H

#include "store/json_span.h"

struct lzr_buf;

/* A text in UTF-8, markup escaped. */
void lzr_xml_text(struct lzr_buf *out, const char *text);
/* A JSON string of a checked document, with its quotes, escapes undone. What XML can't hold (most
 * control characters) becomes U+FFFD. */
void lzr_xml_json_string(struct lzr_buf *out, struct lzr_span json);

#endif
