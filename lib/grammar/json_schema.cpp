#include "lib/grammar/json_schema.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <set>

#include "lib/base/format.h"
#include "lib/grammar/regex_syntax.h"
#include "lib/io/json.h"
#include "lib/text/utf8.h"

namespace ponder::core::grammar {

namespace {

constexpr std::string_view kAnnotations[] = {"title",      "description", "default",  "examples",  "$schema",         "$id",
                                             "$comment",   "deprecated",  "readOnly", "writeOnly", "contentEncoding", "contentMediaType",
                                             "$defs",      "definitions"};
constexpr std::string_view kTypes[] = {"null", "boolean", "object", "array", "number", "integer", "string"};
// Keywords that say something about one type only.
constexpr std::string_view kOfObject[] = {"properties", "required", "additionalProperties"};
constexpr std::string_view kOfArray[] = {"items", "prefixItems", "minItems", "maxItems"};
constexpr std::string_view kOfString[] = {"minLength", "maxLength", "pattern", "format"};
constexpr std::string_view kOfNumber[] = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"};
constexpr std::string_view kOthers[] = {"type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref"};

template <std::size_t n>
bool holds(const std::string_view (&list)[n], std::string_view key) {
  return std::find(std::begin(list), std::end(list), key) != std::end(list);
}

std::string escape_pointer(std::string_view name) {
  std::string out;
  for (char c : name) out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return out;
}

// JSON without blanks.
void write_compact(const Json& value, std::string& out) {
  if (value.is_array()) {
    out += '[';
    for (std::size_t i = 0; i < value.as_array().size(); ++i) {
      if (i > 0) out += ',';
      write_compact(value.as_array()[i], out);
    }
    out += ']';
  } else if (value.is_object()) {
    out += '{';
    for (std::size_t i = 0; i < value.as_object().size(); ++i) {
      if (i > 0) out += ',';
      out += dump_json(Json(value.as_object()[i].first)) + ":";
      write_compact(value.as_object()[i].second, out);
    }
    out += '}';
  } else {
    out += dump_json(value);
  }
}

class SchemaReader {
 public:
  explicit SchemaReader(const Json& root) : root_(root) {}

  Result<Syntax> read() {
    const RuleId start = out_.add_rule("the schema");
    space_ = out_.add_rule("blank");
    // No blanks without end: a model that has lost its way would write them for ever.
    out_.define(space_, out_.choice({out_.text(""), out_.text(" "),
                                     out_.sequence({out_.text("\n"), out_.repeat(out_.chars({{' ', ' '}, {'\t', '\t'}}), 0, 20)})}));
    string_char_ = out_.add_rule("a character of a string");
    out_.define(string_char_, json_chars(complement({}), out_));
    any_ = out_.add_rule("any value");
    define_any();
    rule_of_[&root_] = start;
    pending_.push_back({&root_, start, "#"});
    for (std::size_t i = 0; i < pending_.size(); ++i) {
      const Pending p = pending_[i];
      PONDER_ASSIGN(const NodeId body, schema(*p.schema, p.where, 0));
      out_.define(p.rule, body);
    }
    PONDER_TRY(out_.check_size("schema"));
    return std::move(out_);
  }

 private:
  struct Pending {
    const Json* schema;
    RuleId rule;
    std::string where;
  };

  static Status error(Code code, const std::string& where, std::string_view message) {
    return fail(code, "schema, at {}: {}", where, message);
  }
  NodeId space() { return out_.call(space_); }
  NodeId digits(std::uint32_t min, std::uint32_t max) { return out_.repeat(out_.chars({{'0', '9'}}), min, max); }
  NodeId integer_digits() {
    return out_.choice({out_.text("0"), out_.sequence({out_.chars({{'1', '9'}}), digits(0, 15)})});
  }
  NodeId integer() { return out_.sequence({out_.optional(out_.text("-")), integer_digits()}); }
  NodeId number() {
    const NodeId fraction = out_.sequence({out_.text("."), digits(1, 16)});
    const NodeId exponent =
        out_.sequence({out_.chars({{'e', 'e'}, {'E', 'E'}}), out_.optional(out_.chars({{'+', '+'}, {'-', '-'}})), digits(1, 2)});
    return out_.sequence({integer(), out_.optional(fraction), out_.optional(exponent)});
  }
  NodeId string_of(std::uint32_t min, std::uint32_t max) {
    return out_.sequence({out_.text("\""), out_.repeat(out_.call(string_char_), min, max), out_.text("\"")});
  }
  // An array whose first elements are `heads`, as many as there are, and then, when it is open, `rest`.
  NodeId array_of(const std::vector<NodeId>& heads, bool is_open, NodeId rest, std::uint32_t min, std::uint32_t max) {
    const NodeId comma = out_.sequence({space(), out_.text(","), space()});
    // From the end: what may follow the first i elements.
    const std::size_t n = std::min<std::size_t>(heads.size(), max);
    NodeId tail = out_.text("");
    if (is_open && max > n) {
      const auto at_least = static_cast<std::uint32_t>(min > n ? min - n : 0);
      const std::uint32_t at_most = max == kNoLimit ? kNoLimit : max - static_cast<std::uint32_t>(n);
      if (n > 0) {
        tail = out_.repeat(out_.sequence({comma, rest}), at_least, at_most);
      } else {
        const NodeId more = out_.repeat(out_.sequence({comma, rest}), at_least > 0 ? at_least - 1 : 0,
                                        at_most == kNoLimit ? kNoLimit : at_most - 1);
        tail = out_.sequence({rest, more});
        if (at_least == 0) tail = out_.optional(tail);
      }
    }
    for (std::size_t i = n; i-- > 0;) {
      const NodeId element = i == 0 ? heads[i] : out_.sequence({comma, heads[i]});
      tail = out_.sequence({element, tail});
      if (min <= i) tail = out_.optional(tail);
      const RuleId rule = out_.add_rule("array");  // keeps nesting flat
      out_.define(rule, tail);
      tail = out_.call(rule);
    }
    return out_.sequence({out_.text("["), space(), tail, space(), out_.text("]")});
  }
  NodeId free_object(NodeId value, NodeId key) {
    const NodeId member = out_.sequence({key, space(), out_.text(":"), space(), value});
    const NodeId more = out_.repeat(out_.sequence({space(), out_.text(","), space(), member}), 0, kNoLimit);
    return out_.sequence({out_.text("{"), space(), out_.optional(out_.sequence({member, more, space()})), out_.text("}")});
  }
  void define_any() {
    const NodeId any = out_.call(any_);
    out_.define(any_, out_.choice({out_.text("null"), out_.text("true"), out_.text("false"), number(), string_of(0, kNoLimit),
                                   array_of({}, true, any, 0, kNoLimit), free_object(any, string_of(0, kNoLimit))}));
  }

  // The schema as a rule, made later: nesting of schemas costs no nesting here.
  NodeId later(const Json& schema, std::string where) {
    const auto [at, added] = rule_of_.try_emplace(&schema, 0);
    if (added) {
      at->second = out_.add_rule(where);
      pending_.push_back({&schema, at->second, std::move(where)});
    }
    return out_.call(at->second);
  }

  Result<const Json*> resolve(const std::string& ref, const std::string& where) const {
    if (ref.empty() || ref[0] != '#' || (ref.size() > 1 && ref[1] != '/'))
      return error(Code::unsupported, where, formatted("$ref '{}', want one within this document: '#/…'", ref));
    const Json* at = &root_;
    for (std::size_t i = 1; i < ref.size();) {
      const std::size_t end = std::min(ref.find('/', i + 1), ref.size());
      std::string name;
      for (std::size_t k = i + 1; k < end; ++k) {
        const bool escaped = ref[k] == '~' && k + 1 < end;
        name += !escaped ? ref[k] : ref[k + 1] == '0' ? '~' : '/';
        k += escaped ? 1 : 0;
      }
      const Json* next = at->find(name);
      if (at->is_array() && !name.empty() && name.size() < 7 && name.find_first_not_of("0123456789") == name.npos) {
        const auto index = static_cast<std::size_t>(std::stoul(name));
        if (index < at->as_array().size()) next = &at->as_array()[index];
      }
      if (!next) return error(Code::invalid_argument, where, formatted("$ref '{}': nothing is there", ref));
      at = next;
      i = end;
    }
    return at;
  }

  // Both schemas as one; an error when that is not the union of their keywords.
  Result<Json> merged(const Json& a, const Json& b, const std::string& where) const {
    for (const Json* s : {&a, &b})
      if (s->is_bool() && !s->as_bool()) return Json(false);
    if (!a.is_object()) return b;
    if (!b.is_object()) return a;
    const auto open = [](const Json& s) { return s.find("additionalProperties") != nullptr; };
    const auto names = [](const Json& s) { return s.find("properties") != nullptr; };
    const auto items = [](const Json& s) { return s.find("items") || s.find("prefixItems"); };
    if ((open(a) && names(b)) || (open(b) && names(a)) || (items(a) && items(b)))
      return error(Code::unsupported, where, "properties or items of schemas that hold together, one of which is closed");
    Json out = a;
    for (const auto& [key, value] : b.as_object()) {
      Json* mine = out.find(key);
      if (!mine) {
        out.set(key, value);
      } else if (holds(kAnnotations, key) || *mine == value) {
        continue;
      } else if (key == "required" && mine->is_array() && value.is_array()) {
        for (const Json& name : value.as_array())
          if (std::find(mine->as_array().begin(), mine->as_array().end(), name) == mine->as_array().end())
            mine->as_array().push_back(name);
      } else if (key == "properties" && mine->is_object() && value.is_object()) {
        for (const auto& [name, property] : value.as_object()) {
          if (mine->find(name) && !(*mine->find(name) == property))
            return error(Code::unsupported, where, formatted("property '{}' described twice by schemas that hold together", name));
          mine->set(name, property);
        }
      } else {
        return error(Code::unsupported, where, formatted("'{}' given twice by schemas that hold together", key));
      }
    }
    return out;
  }

  static Json without(const Json& schema, std::string_view key) {
    Json::Object out;
    for (const auto& member : schema.as_object())
      if (member.first != key) out.push_back(member);
    return Json(std::move(out));
  }
  static bool only_annotations(const Json& schema) {
    return std::all_of(schema.as_object().begin(), schema.as_object().end(),
                       [](const Json::Member& m) { return holds(kAnnotations, m.first); });
  }

  static std::size_t weight(const Json& value) {
    std::size_t n = 1;
    if (value.is_array())
      for (const Json& v : value.as_array()) n += weight(v);
    if (value.is_object())
      for (const auto& m : value.as_object()) n += 1 + weight(m.second);
    return n;
  }
  // Reads a merged schema. References to references can make very many of them.
  Result<NodeId> made(Json merged_schema, const std::string& where, std::size_t nesting) {
    constexpr std::size_t kMost = 1'000'000;
    merged_weight_ += weight(merged_schema);
    if (merged_weight_ > kMost) return error(Code::unsupported, where, "schemas that hold together make too large a schema");
    made_.push_back(std::move(merged_schema));
    return schema(made_.back(), where, nesting + 1);
  }

  Result<NodeId> schema(const Json& s, const std::string& where, std::size_t nesting) {
    PONDER_TRY(out_.check_size("schema"));
    if (nesting > Syntax::kMaxNesting) return error(Code::unsupported, where, "schemas nested too deep");
    if (s.is_bool()) return s.as_bool() ? out_.call(any_) : out_.choice({});
    if (!s.is_object()) return error(Code::invalid_argument, where, formatted("{}, want an object or a boolean", s.type_name()));
    for (const auto& [key, value] : s.as_object()) {
      const bool known = holds(kAnnotations, key) || holds(kOfObject, key) || holds(kOfArray, key) || holds(kOfString, key) ||
                         holds(kOfNumber, key) || holds(kOthers, key);
      if (!known) return error(Code::unsupported, where, formatted("keyword '{}' is not supported", key));
    }
    if (const Json* ref = s.find("$ref")) {
      if (!ref->is_string()) return error(Code::invalid_argument, where, "$ref: want a string");
      PONDER_ASSIGN(const Json* target, resolve(ref->as_string(), where));
      const Json rest = without(s, "$ref");
      if (only_annotations(rest)) return later(*target, ref->as_string());
      PONDER_ASSIGN(Json both, merged(rest, *target, where));
      return made(std::move(both), where, nesting);
    }
    for (const std::string_view key : {"allOf", "anyOf", "oneOf"})
      if (const Json* list = s.find(key)) return combined(s, key, *list, where, nesting);
    if (s.find("enum") || s.find("const")) return values(s, where);

    PONDER_ASSIGN(const std::set<std::string> types, types_of(s, where));
    std::vector<NodeId> choices;
    const bool all = s.find("type") == nullptr;
    if (all && only_annotations(s)) return out_.call(any_);
    for (const std::string_view type : kTypes) {
      if (!types.count(std::string(type))) continue;
      if (type == "integer" && types.count("number")) continue;
      NodeId one = 0;
      if (type == "null") one = out_.text("null");
      if (type == "boolean") one = out_.choice({out_.text("true"), out_.text("false")});
      if (type == "object") {
        PONDER_ASSIGN(one, object(s, where));
      }
      if (type == "array") {
        PONDER_ASSIGN(one, array(s, where));
      }
      if (type == "string") {
        PONDER_ASSIGN(one, string(s, where));
      }
      if (type == "integer" || type == "number") {
        PONDER_ASSIGN(one, numbers(s, type == "integer", where));
      }
      choices.push_back(one);
    }
    return out_.choice(std::move(choices));
  }

  Result<std::set<std::string>> types_of(const Json& s, const std::string& where) const {
    std::set<std::string> types;
    const Json* type = s.find("type");
    if (!type) {
      for (const std::string_view t : kTypes) types.insert(std::string(t));
      return types;
    }
    const auto add = [&](const Json& t) -> Status {
      if (!t.is_string() || !holds(kTypes, t.as_string()))
        return error(Code::invalid_argument, where, formatted("type {}: want one of JSON Schema's seven", dump_json(t)));
      types.insert(t.as_string());
      return {};
    };
    if (!type->is_array()) PONDER_TRY(add(*type));
    else
      for (const Json& t : type->as_array()) PONDER_TRY(add(t));
    return types;
  }

  // What a schema's values can be, by type; for oneOf.
  Result<std::set<std::string>> possible_types(const Json& s, const std::string& where, std::size_t nesting) const {
    if (s.is_object() && nesting < 16) {
      if (const Json* ref = s.find("$ref"); ref && ref->is_string()) {
        PONDER_ASSIGN(const Json* target, resolve(ref->as_string(), where));
        return possible_types(*target, where, nesting + 1);
      }
      std::set<std::string> types;
      const auto add = [&](const Json& v) {
        if (v.is_int() || (v.is_double() && v.as_double() == std::floor(v.as_double()))) types.insert("integer");
        types.insert(v.is_int() ? "number" : v.type_name());
      };
      if (const Json* c = s.find("const")) {
        add(*c);
        return types;
      }
      if (const Json* e = s.find("enum"); e && e->is_array()) {
        for (const Json& v : e->as_array()) add(v);
        return types;
      }
      PONDER_ASSIGN(types, types_of(s, where));
      if (types.count("number")) types.insert("integer");
      if (types.count("integer")) types.insert("number");
      return types;
    }
    return types_of(Json(Json::Object()), where);
  }

  // The constant that a property, which must be there, has in every value of an object schema.
  const Json* tag_of(const Json& s, const std::string& name, const std::string& where, std::size_t nesting) const {
    if (const Json* ref = s.find("$ref"); ref && ref->is_string() && nesting < 16) {
      const Result<const Json*> target = resolve(ref->as_string(), where);
      return target.ok() ? tag_of(**target, name, where, nesting + 1) : nullptr;
    }
    const Json* type = s.find("type");
    const Json* required = s.find("required");
    const Json* properties = s.find("properties");
    if (!type || !(*type == Json("object")) || !required || !required->is_array() || !properties) return nullptr;
    if (std::find(required->as_array().begin(), required->as_array().end(), Json(name)) == required->as_array().end()) return nullptr;
    const Json* property = properties->find(name);
    const Json* value = property ? property->find("const") : nullptr;
    return value && value->is_string() ? value : nullptr;
  }
  bool exclude_each_other(const Json& a, const Json& b, const std::string& where) const {
    const auto ta = possible_types(a, where, 0), tb = possible_types(b, where, 0);
    if (!ta.ok() || !tb.ok()) return false;
    if (std::none_of(ta->begin(), ta->end(), [&](const std::string& t) { return tb->count(t) > 0; })) return true;
    if (const Json *ca = a.find("const"), *cb = b.find("const"); ca && cb && ca->is_string() && cb->is_string()) return !(*ca == *cb);
    const Json* target = &a;
    for (int i = 0; i < 16 && target->find("$ref") && target->find("$ref")->is_string(); ++i) {
      const Result<const Json*> next = resolve(target->find("$ref")->as_string(), where);
      if (!next.ok()) return false;
      target = *next;
    }
    const Json* properties = target->find("properties");
    if (!properties || !properties->is_object()) return false;
    for (const auto& member : properties->as_object()) {
      const Json* va = tag_of(a, member.first, where, 0);
      const Json* vb = tag_of(b, member.first, where, 0);
      if (va && vb && !(*va == *vb)) return true;
    }
    return false;
  }

  Result<NodeId> combined(const Json& s, std::string_view key, const Json& list, const std::string& where, std::size_t nesting) {
    const std::string here = formatted("{}/{}", where, key);
    if (!list.is_array() || list.as_array().empty()) return error(Code::invalid_argument, here, "want a list of schemas");
    const std::vector<Json>& parts = list.as_array();
    const Json rest = without(s, key);
    if (key == "allOf") {
      Json all = rest;
      for (const Json& part : parts) {
        const Json* one = &part;
        if (const Json* ref = part.find("$ref"); ref && ref->is_string() && part.as_object().size() == 1) {
          PONDER_ASSIGN(one, resolve(ref->as_string(), here));
        }
        PONDER_ASSIGN(all, merged(all, *one, here));
      }
      return made(std::move(all), where, nesting);
    }
    if (key == "oneOf")
      for (std::size_t i = 0; i < parts.size(); ++i)
        for (std::size_t k = 0; k < i; ++k)
          if (!exclude_each_other(parts[k], parts[i], here))
            return error(Code::unsupported, here,
                         formatted("alternatives {} and {} might both hold; want types, constants, or a required property "
                                     "whose constants differ, or anyOf", k, i));
    const bool alone = only_annotations(rest);
    std::vector<NodeId> choices;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const std::string at = formatted("{}/{}", here, i);
      if (alone) {
        choices.push_back(later(parts[i], at));
        continue;
      }
      PONDER_ASSIGN(Json both, merged(rest, parts[i], at));
      PONDER_ASSIGN(const NodeId one, made(std::move(both), at, nesting));
      choices.push_back(one);
    }
    return out_.choice(std::move(choices));
  }

  static bool is_of(const Json& value, const std::set<std::string>& types) {
    if (value.is_int()) return types.count("integer") || types.count("number");
    if (value.is_double()) return types.count("number") || (types.count("integer") && value.as_double() == std::floor(value.as_double()));
    return types.count(value.type_name()) > 0;
  }

  Result<NodeId> values(const Json& s, const std::string& where) {
    for (const auto& [key, value] : s.as_object())
      if (!holds(kAnnotations, key) && key != "type" && key != "enum" && key != "const")
        return error(Code::unsupported, where, formatted("'{}' beside enum or const", key));
    PONDER_ASSIGN(const std::set<std::string> types, types_of(s, where));
    const Json* one = s.find("const");
    const Json* list = s.find("enum");
    if (list && (!list->is_array() || list->as_array().empty()))
      return error(Code::invalid_argument, where + "/enum", "want a list of values");
    std::vector<NodeId> choices;
    const auto add = [&](const Json& value) {
      if (!is_of(value, types)) return;
      std::string text;
      write_compact(value, text);
      choices.push_back(out_.text(text));
    };
    if (list) {
      for (const Json& value : list->as_array())
        if (!one || *one == value) add(value);
    } else {
      add(*one);
    }
    return out_.choice(std::move(choices));
  }

  Result<std::uint32_t> count(const Json& s, std::string_view key, std::uint32_t otherwise, const std::string& where) const {
    const Json* value = s.find(key);
    if (!value) return otherwise;
    const bool whole = value->is_double() && value->as_double() == std::floor(value->as_double());
    const double n = value->is_int() ? static_cast<double>(value->as_int()) : whole ? value->as_double() : -1.0;
    if (n < 0) return error(Code::invalid_argument, where, formatted("{}: {}, want a whole number", key, dump_json(*value)));
    if (n > 1e5) return error(Code::unsupported, where, formatted("{}: {}, want at most 100000", key, dump_json(*value)));
    return static_cast<std::uint32_t>(n);
  }

  Result<NodeId> string(const Json& s, const std::string& where) {
    PONDER_ASSIGN(const std::uint32_t min, count(s, "minLength", 0, where));
    PONDER_ASSIGN(const std::uint32_t max, count(s, "maxLength", kNoLimit, where));
    const auto quoted = [&](NodeId body) { return out_.sequence({out_.text("\""), body, out_.text("\"")}); };
    const Json* pattern = s.find("pattern");
    const Json* format = s.find("format");
    const std::string_view form = format && format->is_string() ? std::string_view(format->as_string()) : "";
    std::string_view expression;
    if (form == "date") expression = "^[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))$";
    if (form == "time") expression = "^(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,6})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])$";
    if (form == "date-time")
      expression = "^[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))T"
                   "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,6})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])$";
    if (form == "uuid") expression = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";
    if (form == "ipv4") expression = "^(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\\.){3}(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])$";
    if (pattern && !pattern->is_string()) return error(Code::invalid_argument, where + "/pattern", "want a string");
    if (pattern && !expression.empty()) return error(Code::unsupported, where, "pattern and format together");
    if (pattern) expression = pattern->as_string();
    if (pattern || !expression.empty()) {
      if (min != 0 || max != kNoLimit)
        return error(Code::unsupported, where, "minLength or maxLength beside pattern or format; want the length in the pattern");
      Result<NodeId> body = parse_regex(expression, {.json_string = true, .search = true}, out_);
      if (!body.ok()) return std::move(body).status().with_prefix(formatted("schema, at {}/pattern", where));
      return quoted(*body);
    }
    if (max < min) return out_.choice({});
    return string_of(min, max);
  }

  Result<NodeId> array(const Json& s, const std::string& where) {
    PONDER_ASSIGN(const std::uint32_t min, count(s, "minItems", 0, where));
    PONDER_ASSIGN(const std::uint32_t max, count(s, "maxItems", kNoLimit, where));
    std::vector<NodeId> heads;
    if (const Json* prefix = s.find("prefixItems")) {
      if (!prefix->is_array()) return error(Code::invalid_argument, where + "/prefixItems", "want a list of schemas");
      for (std::size_t i = 0; i < prefix->as_array().size(); ++i)
        heads.push_back(later(prefix->as_array()[i], formatted("{}/prefixItems/{}", where, i)));
    }
    NodeId rest = out_.call(any_);
    bool is_open = true;
    if (const Json* items = s.find("items")) {
      if (items->is_array()) return error(Code::unsupported, where + "/items", "a list; since draft 2020-12 it is prefixItems");
      if (items->is_bool() && !items->as_bool()) is_open = false;
      else rest = later(*items, where + "/items");
    }
    if (max < min || (!is_open && min > heads.size())) return out_.choice({});
    return array_of(heads, is_open, rest, min, max);
  }

  // A string that is none of the names; without escapes.
  NodeId other_key(const std::vector<std::string>& names) {
    if (names.empty()) return string_of(0, kNoLimit);
    const CharSet quotes{{0, 0x1f}, {'"', '"'}, {'\\', '\\'}};
    std::map<std::string, RuleId> rules;  // by the part of a name that has been written
    std::map<std::string, std::set<std::uint32_t>> nexts;
    std::set<std::string> whole(names.begin(), names.end());
    nexts[""];
    for (const std::string& name : names) {
      std::string part;
      for (std::size_t at = 0; at < name.size();) {
        const utf8::Char c = utf8::next(name, at);
        nexts[part].insert(c.code);
        part += name.substr(at, c.size);
        at += c.size;
        nexts[part];
      }
    }
    for (const auto& entry : nexts) rules[entry.first] = out_.add_rule("name of a further property");
    const NodeId plain = out_.chars(complement(normalized(quotes)));
    for (const auto& entry : nexts) {
      std::vector<NodeId> choices;
      if (!whole.count(entry.first)) choices.push_back(out_.text("\""));
      CharSet taken = quotes;
      for (std::uint32_t code : entry.second) {
        taken.push_back({code, code});
        std::string longer = entry.first;
        append_utf8(longer, code);
        if (code < 0x20 || code == '"' || code == '\\' || !rules.count(longer)) continue;
        choices.push_back(out_.sequence({out_.chars({{code, code}}), out_.call(rules[longer])}));
      }
      choices.push_back(out_.sequence({out_.chars(complement(normalized(taken))), out_.repeat(plain, 0, kNoLimit), out_.text("\"")}));
      out_.define(rules[entry.first], out_.choice(std::move(choices)));
    }
    return out_.sequence({out_.text("\""), out_.call(rules[""])});
  }

  Result<NodeId> object(const Json& s, const std::string& where) {
    const Json* properties = s.find("properties");
    const Json* required = s.find("required");
    const Json* additional = s.find("additionalProperties");
    if (properties && !properties->is_object()) return error(Code::invalid_argument, where + "/properties", "want an object");
    std::set<std::string> wanted;
    if (required) {
      if (!required->is_array()) return error(Code::invalid_argument, where + "/required", "want a list of names");
      for (const Json& name : required->as_array()) {
        if (!name.is_string()) return error(Code::invalid_argument, where + "/required", "want a list of names");
        wanted.insert(name.as_string());
      }
    }
    const bool closed = additional && additional->is_bool() && !additional->as_bool();
    // Further members: where the schema allows them by a keyword, or names none.
    const bool open = !closed && (additional || !properties);
    const NodeId further_value = additional && !additional->is_bool() ? later(*additional, where + "/additionalProperties") : out_.call(any_);
    std::vector<std::pair<std::string, NodeId>> members;
    if (properties)
      for (const auto& [name, value] : properties->as_object())
        members.push_back({name, later(value, formatted("{}/properties/{}", where, escape_pointer(name)))});
    for (const std::string& name : wanted)
      if (std::none_of(members.begin(), members.end(), [&](const auto& m) { return m.first == name; })) {
        if (closed) return out_.choice({});
        members.push_back({name, further_value});
      }
    std::vector<std::string> names;
    for (const auto& m : members) names.push_back(m.first);
    const auto member = [&](NodeId key, NodeId value) { return out_.sequence({key, space(), out_.text(":"), space(), value}); };
    const NodeId comma = out_.sequence({space(), out_.text(","), space()});

    // first: no member has been written yet. From the last to the first.
    NodeId rest_first = out_.text(""), rest_later = out_.text("");
    if (open) {
      const NodeId further = member(other_key(names), further_value);
      rest_later = out_.repeat(out_.sequence({comma, further}), 0, kNoLimit);
      rest_first = out_.optional(out_.sequence({further, rest_later}));
    }
    for (std::size_t i = members.size(); i-- > 0;) {
      const NodeId one = member(out_.text(dump_json(Json(members[i].first))), members[i].second);
      const bool must = wanted.count(members[i].first) > 0;
      std::vector<NodeId> first{out_.sequence({one, rest_later})}, later_on{out_.sequence({comma, one, rest_later})};
      if (!must) {
        first.push_back(rest_first);
        later_on.push_back(rest_later);
      }
      const RuleId first_rule = out_.add_rule("object"), later_rule = out_.add_rule("object");
      out_.define(first_rule, out_.choice(std::move(first)));
      out_.define(later_rule, out_.choice(std::move(later_on)));
      rest_first = out_.call(first_rule);
      rest_later = out_.call(later_rule);
    }
    return out_.sequence({out_.text("{"), space(), rest_first, space(), out_.text("}")});
  }

  // Numbers of `n` digits from low to high, both with n digits.
  NodeId digits_between(const std::string& low, const std::string& high) {
    const auto digit = [&](char a, char b) { return out_.chars({{static_cast<std::uint32_t>(a), static_cast<std::uint32_t>(b)}}); };
    std::vector<NodeId> choices;
    std::size_t same = 0;
    while (same < low.size() && low[same] == high[same]) ++same;
    if (same == low.size()) return out_.text(low);
    const auto n = low.size();
    const auto free_digits = [&](std::size_t k) { return digits(static_cast<std::uint32_t>(k), static_cast<std::uint32_t>(k)); };
    const std::string head = low.substr(0, same);
    if (high[same] - low[same] > 1)
      choices.push_back(out_.sequence({digit(static_cast<char>(low[same] + 1), static_cast<char>(high[same] - 1)), free_digits(n - same - 1)}));
    // From low upwards, and up to high, with the first differing digit kept.
    for (std::size_t i = same + 1; i < n; ++i) {
      if (low[i] < '9')
        choices.push_back(out_.sequence({out_.text(low.substr(same, i - same)), digit(static_cast<char>(low[i] + 1), '9'), free_digits(n - i - 1)}));
      if (high[i] > '0')
        choices.push_back(out_.sequence({out_.text(high.substr(same, i - same)), digit('0', static_cast<char>(high[i] - 1)), free_digits(n - i - 1)}));
    }
    choices.push_back(out_.text(low.substr(same)));
    choices.push_back(out_.text(high.substr(same)));
    return out_.sequence({out_.text(head), out_.choice(std::move(choices))});
  }
  // Whole numbers from low to high, 0 <= low <= high < 10^16.
  void unsigned_between(std::int64_t low, std::int64_t high, bool negative, std::vector<NodeId>& choices) {
    const NodeId sign = out_.text(negative ? "-" : "");
    std::int64_t first = 0;
    for (std::int64_t last = 9;; last = last * 10 + 9) {
      if (low <= last && high >= first)
        choices.push_back(out_.sequence({sign, digits_between(std::to_string(std::max(low, first)), std::to_string(std::min(high, last)))}));
      if (last >= high || last > 999'999'999'999'999) break;
      first = last + 1;
    }
  }

  Result<NodeId> numbers(const Json& s, bool whole, const std::string& where) {
    constexpr std::int64_t kMost = 9'999'999'999'999'999;
    std::int64_t low = -kMost, high = kMost;
    bool bounded = false;
    for (const std::string_view key : kOfNumber) {
      const Json* bound = s.find(key);
      if (!bound) continue;
      if (!bound->is_number()) return error(Code::invalid_argument, where, formatted("{}: {}, want a number", key, dump_json(*bound)));
      if (!whole) {
        if (!s.find("type")) continue;
        return error(Code::unsupported, where, formatted("'{}' of type number; want type integer", key));
      }
      bounded = true;
      const bool lower = key == "minimum" || key == "exclusiveMinimum", exclusive = key[0] == 'e';
      const double value = bound->as_double();
      if (!(std::abs(value) < 9e15)) {
        if ((value > 0) == lower) return out_.choice({});
        continue;
      }
      double limit = lower ? std::ceil(value) : std::floor(value);
      if (exclusive && limit == value) limit += lower ? 1 : -1;
      if (lower) low = std::max(low, static_cast<std::int64_t>(limit));
      else high = std::min(high, static_cast<std::int64_t>(limit));
    }
    if (!whole) {
      for (const std::string_view key : kOfNumber)
        if (s.find(key)) return error(Code::unsupported, where, formatted("'{}' without type integer", key));
      return number();
    }
    if (!bounded) return integer();
    std::vector<NodeId> choices;
    if (low > high) return out_.choice({});
    if (high >= 0) unsigned_between(std::max<std::int64_t>(low, 0), high, false, choices);
    if (low < 0) unsigned_between(std::max<std::int64_t>(1, -high), -low, true, choices);
    return out_.choice(std::move(choices));
  }

  const Json& root_;
  Syntax out_;
  RuleId space_ = 0, string_char_ = 0, any_ = 0;
  std::map<const Json*, RuleId> rule_of_;
  std::vector<Pending> pending_;
  std::size_t merged_weight_ = 0;
  std::deque<Json> made_;  // merged schemas, which rules refer to by address
};

}  // namespace

Result<Syntax> parse_json_schema(std::string_view text) {
  PONDER_ASSIGN(const Json root, parse_json(text, "schema", {.max_bytes = std::size_t{4} << 20, .max_depth = 100}));
  return SchemaReader(root).read();
}

}  // namespace ponder::core::grammar
