// Message content as an array of parts, OpenAI's other form: [{"type": "text", "text": "..."}].
#pragma once

#include "lib/base/status.h"
#include "lib/io/json.h"

namespace ponder::core {

// Whether some message of the array has such content.
bool has_content_parts(const Json& messages);

// The same messages with the texts of each content array as one string, nothing put between them. A part that is no text is
// refused by the index of its message and by its type.
Result<Json> join_content_parts(const Json& messages);

}  // namespace ponder::core
