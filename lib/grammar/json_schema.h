// JSON Schema (draft 2020-12 and the common part of draft 7) to rules. Supported:
//
//   type (one or a list), enum, const, properties, required, additionalProperties, items, prefixItems, minItems, maxItems,
//   minLength, maxLength, pattern, format (date, time, date-time, uuid, ipv4), minimum, maximum, exclusiveMinimum,
//   exclusiveMaximum (of integers), anyOf, oneOf (whose alternatives exclude each other by type), allOf (of schemas that can be
//   merged), $ref within the document, $defs, definitions, true and false
//
// Annotations (title, description, default, examples, $schema, $id, $comment, deprecated, readOnly, writeOnly, contentEncoding,
// contentMediaType) and other formats change nothing. Any other keyword is `unsupported`, with its place.
// What is written is valid, but not all that is valid can be written: properties come in the schema's order, those that the
// schema does not name only where additionalProperties allows them or it names none, and numbers have at most 16 digits.
#pragma once

#include "lib/grammar/grammar_syntax.h"

namespace ponder::core::grammar {

Result<Syntax> parse_json_schema(std::string_view text);

}  // namespace ponder::core::grammar
