// str(), repr() and json.dumps. Every character of a string keeps its provenance.
#include <algorithm>
#include <cmath>

#include "lib/text/jinja_functions.h"
#include "lib/text/jinja_interp.h"
#include "lib/text/jinja_unicode.h"
#include "lib/text/utf8.h"

namespace ponder::core::jinja {

std::string repr_double(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::string text = formatted("{}", value);
  if (text.find_first_of(".e") == text.npos) text += ".0";
  return text;
}

namespace {

// Copies `text`; characters for which `escape` returns true are replaced by what it wrote.
template <class Escape>
void append_escaped(TextBuilder& out, const Str& text, const Escape& escape) {
  std::size_t plain = 0, hint = 0;
  std::string replacement;
  for (std::size_t i = 0; i < text.text.size();) {
    const utf8::Char c = utf8::next(text.text, i);
    replacement.clear();
    if (escape(c, replacement)) {
      out.append(text, plain, i);
      out.append(replacement, tainted_at(text, i, hint));
      plain = i + c.size;
    }
    i += c.size;
  }
  out.append(text, plain, text.text.size());
}

void append_str_repr(TextBuilder& out, const Str& text) {
  const char quote = text.text.find('\'') != text.text.npos && text.text.find('"') == text.text.npos ? '"' : '\'';
  out.append({&quote, 1}, false);
  append_escaped(out, text, [&](const utf8::Char& c, std::string& to) {
    if (!c.valid) return false;
    if (c.code == '\\' || c.code == static_cast<unsigned char>(quote)) {
      to = {'\\', static_cast<char>(c.code)};
    } else if (c.code == '\n' || c.code == '\r' || c.code == '\t') {
      to = c.code == '\n' ? "\\n" : c.code == '\r' ? "\\r" : "\\t";
    } else if (!is_printable(c.code)) {
      to = c.code < 0x100     ? formatted("\\x{:02x}", c.code)
           : c.code < 0x10000 ? formatted("\\u{:04x}", c.code)
                              : formatted("\\U{:08x}", c.code);
    }
    return !to.empty();
  });
  out.append({&quote, 1}, false);
}

void append_json_string(TextBuilder& out, const Str& text, bool ensure_ascii) {
  out.append("\"", false);
  append_escaped(out, text, [&](const utf8::Char& c, std::string& to) {
    static constexpr std::string_view kFrom = "\"\\\n\r\t\b\f", kTo = "\"\\nrtbf";
    const std::size_t known = c.code < 0x80 ? kFrom.find(static_cast<char>(c.code)) : kFrom.npos;
    if (known != kFrom.npos) {
      to = {'\\', kTo[known]};
    } else if (c.code < 0x20) {
      to = formatted("\\u{:04x}", c.code);
    } else if (ensure_ascii && c.code >= 0x10000) {
      const std::uint32_t rest = c.code - 0x10000;
      to = formatted("\\u{:04x}\\u{:04x}", 0xd800 + (rest >> 10), 0xdc00 + (rest & 0x3ff));
    } else if (ensure_ascii && c.code > 0x7e) {
      if (c.code != 0x7f) to = formatted("\\u{:04x}", c.code);
    }
    return !to.empty();
  });
  out.append("\"", false);
}

// Python's text of a number, True, False, None.
std::string scalar_text(const Value& value) {
  switch (value.kind()) {
    case Kind::none: return "None";
    case Kind::boolean: return value.as_boolean() ? "True" : "False";
    case Kind::integer: return formatted("{}", value.as_integer());
    default: return repr_double(value.as_real());
  }
}

std::string json_scalar(const Value& value) {
  switch (value.kind()) {
    case Kind::none: return "null";
    case Kind::boolean: return value.as_boolean() ? "true" : "false";
    case Kind::integer: return formatted("{}", value.as_integer());
    default: break;
  }
  const double number = value.as_real();
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number < 0 ? "-Infinity" : "Infinity";
  return repr_double(number);
}

}  // namespace

Status Interp::print(TextBuilder& out, const Value& value) {
  if (value.is_undefined() || value.is_missing()) return {};
  if (value.is_string()) {
    out.append(value.str());
    return {};
  }
  return print_repr(out, value);
}

Result<Value> Interp::to_str(const Value& value) {
  if (value.is_string()) return value;
  TextBuilder text;
  PONDER_TRY(print(text, value));
  return string(std::move(text));
}

Status Interp::print_repr(TextBuilder& out, const Value& value) {
  const Level level(*this);
  PONDER_TRY(level.check());
  PONDER_TRY(use());
  PONDER_TRY(check_size(out.size()));
  if (value.is_undefined() || value.is_missing()) {
    out.append("Undefined", false);
    return {};
  }
  if (value.is_string()) {
    append_str_repr(out, value.str());
    return use_bytes(value.text().size());
  }
  if (value.kind() != Kind::object) {
    out.append(scalar_text(value), false);
    return {};
  }
  if (const Sequence* sequence = value.as<Sequence>()) {
    if (sequence->form == SequenceKind::iterator) {
      out.append("<generator object>", false);
      return {};
    }
    const bool is_list = sequence->form == SequenceKind::list, is_tuple = sequence->form == SequenceKind::tuple;
    if (!is_list && !is_tuple) out.append(formatted("{}(", type_name(value)), false);
    out.append(is_tuple ? "(" : "[", false);
    for (std::size_t i = 0; i < sequence->items.size(); ++i) {
      if (i > 0) out.append(", ", false);
      PONDER_TRY(print_repr(out, sequence->items[i]));
    }
    if (is_tuple && sequence->items.size() == 1) out.append(",", false);
    out.append(is_tuple ? ")" : "]", false);
    if (!is_list && !is_tuple) out.append(")", false);
    return {};
  }
  const auto print_members = [&](const auto& members, const auto& print_key) -> Status {
    out.append("{", false);
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (i > 0) out.append(", ", false);
      PONDER_TRY(print_key(members[i].first));
      out.append(": ", false);
      PONDER_TRY(print_repr(out, members[i].second));
    }
    out.append("}", false);
    return {};
  };
  if (const Dict* dict = value.as<Dict>())
    return print_members(dict->members, [&](const Value& key) { return print_repr(out, key); });
  if (const Names* names = value.as<Names>()) {
    out.append("<Namespace ", false);
    PONDER_TRY(print_members(names->members, [&](const StrPtr& key) {
      append_str_repr(out, *key);
      return Status();
    }));
    out.append(">", false);
    return {};
  }
  if (const Range* range = value.as<Range>()) {
    out.append(range->step == 1 ? formatted("range({}, {})", range->start, range->stop)
                                : formatted("range({}, {}, {})", range->start, range->stop, range->step),
               false);
    return {};
  }
  if (const MacroObject* macro = value.as<MacroObject>()) {
    out.append(formatted("<Macro '{}'>", macro->function.name), false);
    return {};
  }
  out.append(formatted("<{}>", type_name(value)), false);
  return {};
}

Status Interp::print_json(TextBuilder& out, const Value& value, const JsonStyle& style, std::size_t depth) {
  const Level level(*this);
  PONDER_TRY(level.check());
  PONDER_TRY(use());
  PONDER_TRY(check_size(out.size()));
  const auto new_line = [&](std::size_t n) {
    if (!style.is_indented) return;
    out.append("\n", false);
    for (std::size_t i = 0; i < n; ++i) out.append(style.indent, false);
  };
  if (value.is_string()) {
    append_json_string(out, value.str(), style.ensure_ascii);
    return use_bytes(value.text().size());
  }
  if (value.is_none() || value.is_number()) {
    out.append(json_scalar(value), false);
    return {};
  }
  if (const Sequence* sequence = value.as<Sequence>(); sequence && sequence->is_indexable()) {
    out.append("[", false);
    for (std::size_t i = 0; i < sequence->items.size(); ++i) {
      if (i > 0) out.append(style.item_separator, false);
      new_line(depth + 1);
      PONDER_TRY(print_json(out, sequence->items[i], style, depth + 1));
    }
    if (!sequence->items.empty()) new_line(depth);
    out.append("]", false);
    return {};
  }
  const Dict* dict = value.as<Dict>();
  if (!dict) return error("tojson: a {} is not JSON serializable", type_name(value));
  std::vector<const std::pair<Value, Value>*> members;
  for (const auto& member : dict->members) members.push_back(&member);
  if (style.sort_keys) {
    for (const auto* member : members)
      if (!member->first.is_string()) return error("tojson: sort_keys wants strings as keys");
    std::stable_sort(members.begin(), members.end(),
                     [](const auto* a, const auto* b) { return a->first.text() < b->first.text(); });
  }
  out.append("{", false);
  for (std::size_t i = 0; i < members.size(); ++i) {
    const auto& [key, member] = *members[i];
    if (i > 0) out.append(style.item_separator, false);
    new_line(depth + 1);
    if (key.is_string()) {
      append_json_string(out, key.str(), style.ensure_ascii);
    } else if (key.is_none() || key.is_number()) {
      out.append(formatted("\"{}\"", json_scalar(key)), false);
    } else {
      return error("tojson: a {} cannot be a key", type_name(key));
    }
    out.append(style.key_separator, false);
    PONDER_TRY(print_json(out, member, style, depth + 1));
  }
  if (!members.empty()) new_line(depth);
  out.append("}", false);
  return {};
}

}  // namespace ponder::core::jinja
