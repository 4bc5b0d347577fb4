#include "lib/grammar/grammar.h"

#include <doctest/doctest.h>

#include <random>

#include "lib/io/json.h"
#include "lib/io/mapped_file.h"

using namespace ponder::core;

namespace {

// Bytes, and eight added tokens.
std::shared_ptr<const grammar::TokenTrie> byte_tokens() {
  static const auto trie = [] {
    const auto file = read_file(PONDER_MODELS "/ponder-tiny-r1/tokenizer.json", 1 << 20);
    REQUIRE(file.ok());
    return grammar::TokenTrie::create(Tokenizer::load({*file, ""}).value(), 264);
  }();
  return trie;
}

std::shared_ptr<const Grammar> make(GrammarKind kind, std::string_view text) {
  const auto made = Grammar::create(kind, text, byte_tokens());
  INFO(text, ": ", made.status().message());
  REQUIRE(made.ok());
  return *made;
}

Status failure(GrammarKind kind, std::string_view text) {
  auto made = Grammar::create(kind, text, byte_tokens());
  INFO(text);
  REQUIRE_FALSE(made.ok());
  return std::move(made).status();
}

struct Case {
  GrammarKind kind;
  const char* grammar;
  std::vector<std::string> valid, invalid;
};

// A reply made by drawing among the allowed tokens; it ends with a chance of one in eight wherever it may.
std::string draw(const std::shared_ptr<const Grammar>& grammar, std::mt19937& random, std::size_t most, bool& complete) {
  GrammarMatcher matcher(grammar);
  std::string text;
  complete = false;
  while (text.size() < most) {
    const auto mask = matcher.mask();
    if (matcher.is_complete() && (mask->count == 0 || random() % 8 == 0)) {
      complete = true;
      break;
    }
    REQUIRE(mask->count > 0);  // this vocabulary has every byte: there is always a way on
    std::vector<TokenId> ids;
    for (TokenId id = 0; id < 264; ++id)
      if (mask->allows(id)) ids.push_back(id);
    REQUIRE(ids.size() == mask->count);
    // Closing marks are taken more often than their share, so that texts come to an end.
    TokenId id = ids[random() % ids.size()];
    for (TokenId one : ids)
      if (std::string_view("\"]}").find(byte_tokens()->tokenizer->token_bytes(one)) != std::string_view::npos && random() % 3 == 0) id = one;
    REQUIRE(matcher.accept(id));
    text += byte_tokens()->tokenizer->token_bytes(id);
  }
  return text;
}

// What JSON Schema says of the keywords that the generator of schemas below uses.
bool validates(const Json& value, const Json& schema) {
  if (schema.is_bool()) return schema.as_bool();
  if (const Json* list = schema.find("anyOf")) {
    bool any = false;
    for (const Json& one : list->as_array()) any |= validates(value, one);
    if (!any) return false;
  }
  if (const Json* list = schema.find("enum")) {
    bool any = false;
    for (const Json& one : list->as_array()) any |= one == value;
    if (!any) return false;
  }
  if (const Json* type = schema.find("type")) {
    const std::string& t = type->as_string();
    if (t == "number" ? !value.is_number() : t != value.type_name()) return false;
  }
  const auto bound = [&](const char* key, double otherwise) { return schema.find(key) ? schema.find(key)->as_double() : otherwise; };
  if (value.is_number() && (value.as_double() < bound("minimum", -1e300) || value.as_double() > bound("maximum", 1e300))) return false;
  if (value.is_string()) {
    double n = 0;
    for (char c : value.as_string()) n += (static_cast<unsigned char>(c) & 0xc0) != 0x80 ? 1 : 0;
    if (n < bound("minLength", 0) || n > bound("maxLength", 1e300)) return false;
  }
  if (value.is_array()) {
    const auto n = static_cast<double>(value.as_array().size());
    if (n < bound("minItems", 0) || n > bound("maxItems", 1e300)) return false;
    if (const Json* items = schema.find("items"))
      for (const Json& item : value.as_array())
        if (!validates(item, *items)) return false;
  }
  if (value.is_object()) {
    const Json* properties = schema.find("properties");
    if (const Json* required = schema.find("required"))
      for (const Json& name : required->as_array())
        if (!value.find(name.as_string())) return false;
    for (const auto& [name, member] : value.as_object()) {
      const Json* named = properties ? properties->find(name) : nullptr;
      if (!named) named = schema.find("additionalProperties");
      if (named && !validates(member, *named)) return false;
    }
  }
  return true;
}

Json random_schema(std::mt19937& random, int depth) {
  const auto pick = [&](std::uint32_t n) { return static_cast<int>(random() % n); };
  Json out{Json::Object()};
  switch (pick(depth > 0 ? 8 : 5)) {
    case 0: out.set("type", "null"); break;
    case 1: out.set("type", "boolean"); break;
    case 2: {
      out.set("type", "integer");
      const std::int64_t low = pick(4000) - 2000;
      if (pick(2) == 0) out.set("minimum", low);
      if (pick(2) == 0) out.set("maximum", low + pick(5000));
      break;
    }
    case 3: {
      out.set("type", "string");
      const int low = pick(4);
      if (pick(2) == 0) out.set("minLength", low);
      if (pick(2) == 0) out.set("maxLength", low + pick(6));
      break;
    }
    case 4: out.set("enum", Json::Array{Json("é\"\n"), Json(pick(100)), Json(nullptr), Json(Json::Array{Json(1), Json("x")})}); break;
    case 5: {
      out.set("type", "array");
      out.set("items", random_schema(random, depth - 1));
      const int low = pick(3);
      if (pick(2) == 0) out.set("minItems", low);
      if (pick(2) == 0) out.set("maxItems", low + pick(3));
      break;
    }
    case 6: {
      out.set("type", "object");
      Json properties{Json::Object()};
      Json::Array required;
      for (int i = pick(5); i > 0; --i) {
        const std::string name = std::string("n") + std::string(static_cast<std::size_t>(pick(3)), 'a') + (pick(4) == 0 ? "\"" : "");
        properties.set(name, random_schema(random, depth - 1));
        if (pick(2) == 0) required.push_back(Json(name));
      }
      out.set("properties", properties);
      out.set("required", required);
      if (pick(3) == 0) out.set("additionalProperties", random_schema(random, depth - 1));
      else if (pick(2) == 0) out.set("additionalProperties", false);
      break;
    }
    default: out.set("anyOf", Json::Array{random_schema(random, depth - 1), random_schema(random, depth - 1)});
  }
  return out;
}

}  // namespace

TEST_CASE("grammars match their texts and no others") {
  using enum GrammarKind;
  const Case cases[] = {
      {gbnf, "root ::= \"a\" b* # c\nb ::= [0-9] | 'x'", {"a", "a1x2"}, {"", "b", "a1y", "aa"}},
      {gbnf, "root ::= (\"a\"* | \"b\")", {"", "aa", "b"}, {"ab", "ba"}},
      {gbnf, "root ::= \"a\"{2,3} (\"b\" | \"c\"?){0,2}", {"aa", "aaabc", "aabb"}, {"a", "aaaa", "aabbb"}},
      {gbnf, "root ::= \"(\" root \")\" | \"\"", {"", "()", "((()))"}, {"(", "(()", "())"}},
      {gbnf, "root ::= [^a-z]+ .", {"é你x", "A😀"}, {"ax", "\xff\xff", "A"}},
      {gbnf, "root ::= \"\\x41\\u00e9\\U0001F600\\\"\\n\"", {"Aé😀\"\n"}, {"Aé😀\""}},
      {regex, "a(b|cd)*e?", {"a", "abcdb", "abe"}, {"ac", "e"}},
      {regex, "^\\d{3}-[\\w.]+?$", {"123-a.b"}, {"12-a", "123-"}},
      {regex, "[^\\s\"]*\\.\\u00e9", {"x.é", ".é"}, {" .é", "xé"}},
      {json_schema, "true", {"1", "[1, {\"a\":null}]", "\"x\\n\""}, {"", "[1,]", "01", "\"\n\""}},
      {json_schema, "{\"type\":[\"null\",\"boolean\"]}", {"null", "true"}, {"0", "nul"}},
      {json_schema, "{\"type\":\"integer\",\"minimum\":-5,\"exclusiveMaximum\":120}", {"-5", "0", "7", "99", "119"}, {"-6", "120", "1.5", "-0"}},
      {json_schema, "{\"type\":\"integer\",\"minimum\":95,\"maximum\":1234}", {"95", "100", "999", "1000", "1234"}, {"94", "9", "1235", "2000"}},
      {json_schema, "{\"type\":\"number\"}", {"1", "-0.5", "1e10"}, {".5", "1.", "+1"}},
      {json_schema, "{\"type\":\"string\",\"minLength\":1,\"maxLength\":2}", {"\"é\"", "\"a\\\"\""}, {"\"\"", "\"abc\""}},
      {json_schema, "{\"type\":\"string\",\"pattern\":\"^a\\\"+$\"}", {"\"a\\\"\""}, {"\"a\"", "\"a\"\"", "\"xa\\\"\""}},
      {json_schema, "{\"type\":\"string\",\"pattern\":\"b\"}", {"\"b\"", "\"abc\""}, {"\"a\"", "b"}},
      {json_schema, "{\"type\":\"string\",\"format\":\"date\"}", {"\"2024-01-31\""}, {"\"2024-02-30\"", "\"2024-1-1\""}},
      {json_schema, "{\"type\":\"string\",\"format\":\"ipv4\"}", {"\"10.0.255.1\""}, {"\"256.1.1.1\""}},
      {json_schema, "{\"const\":{\"a\":[1,2]}}", {"{\"a\":[1,2]}"}, {"{\"a\":[1]}", "{}"}},
      {json_schema, "{\"enum\":[1,\"x\",null],\"type\":[\"string\",\"null\"]}", {"\"x\"", "null"}, {"1"}},
      {json_schema, "{\"prefixItems\":[{\"type\":\"null\"},{\"type\":\"boolean\"}],\"items\":false,\"type\":\"array\",\"minItems\":1}",
       {"[null]", "[null, true]"}, {"[]", "[true]", "[null,true,1]"}},
      {json_schema, "{\"type\":\"array\",\"items\":{\"type\":\"null\"},\"minItems\":1,\"maxItems\":2}", {"[null]", "[null,null]"}, {"[]", "[null,null,null]"}},
      {json_schema, R"({"type":"object","properties":{"a":{"type":"null"},"b":{"type":"boolean"}},"required":["b"]})",
       {"{\"a\":null,\"b\":true}", "{ \"b\": false }"}, {"{}", "{\"a\":null}", "{\"b\":true,\"c\":1}", "{\"b\":true,}"}},
      {json_schema, R"({"type":"object","properties":{"ab":{"type":"null"}},"additionalProperties":{"type":"boolean"}})",
       {"{}", "{\"ab\":null,\"a\":true}", "{\"abc\":true}"}, {"{\"ab\":true}", "{\"a\":1}"}},
      {json_schema, R"({"oneOf":[{"type":"null"},{"type":"string"}]})", {"null", "\"\""}, {"1"}},
      {json_schema, R"({"allOf":[{"type":"object","properties":{"a":{"type":"null"}}},{"properties":{"b":{"type":"null"}},"required":["b"]}]})",
       {"{\"b\":null}", "{\"a\":null,\"b\":null}"}, {"{\"a\":null}"}},
      {json_schema, R"({"$ref":"#/$defs/list","$defs":{"list":{"anyOf":[{"type":"null"},{"type":"array","items":{"$ref":"#/$defs/list"},"maxItems":1}]}}})",
       {"null", "[]", "[[null]]"}, {"[null,null]", "[1]"}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.grammar);
    const auto grammar = make(c.kind, c.grammar);
    for (const std::string& text : c.valid) {
      CAPTURE(text);
      CHECK(grammar->matches(text));
    }
    for (const std::string& text : c.invalid) {
      CAPTURE(text);
      CHECK_FALSE(grammar->matches(text));
    }
  }
}

TEST_CASE("what a grammar cannot be is told, with its place") {
  using enum GrammarKind;
  const auto says = [](GrammarKind kind, std::string_view text, std::string_view part) {
    const Status status = failure(kind, text);
    CAPTURE(status.message());
    CHECK(status.message().find(part) != std::string::npos);
    CHECK((status.code() == Code::invalid_argument || status.code() == Code::unsupported || status.code() == Code::bad_file));
  };
  says(gbnf, "root ::= \"a\nb", "line 2");
  says(gbnf, "root ::= x", "'x' is used but not defined");
  says(gbnf, "a ::= \"a\"", "'root' is used but not defined");
  says(gbnf, "root ::= root \"a\" | \"b\"", "left-recursive");
  says(gbnf, "root ::= e* x\ne ::= \"e\"?\nx ::= e root | \"z\"", "left-recursive");
  says(gbnf, "root ::= \"a\" root", "matches no text");
  says(gbnf, "root ::= \"a\"{1000000}", "smaller repeats");
  says(gbnf, "root ::= " + std::string(200, '('), "nested groups");
  says(gbnf, "root ::= [b-a]", "ascends");
  says(regex, "a(?=b)", "look-around");
  says(regex, "(a)\\1", "back references");
  says(regex, "a**", "one repeat");
  says(regex, "(a", "')'");
  says(json_schema, "{", "schema");
  says(json_schema, R"({"properties":{"a/b":{"not":{}}}})", "#/properties/a~1b: keyword 'not' is not supported");
  says(json_schema, R"({"type":"number","minimum":1})", "'minimum'");
  says(json_schema, R"({"type":"array","uniqueItems":true})", "'uniqueItems'");
  says(json_schema, R"({"oneOf":[{"type":"string"},{"type":"string","maxLength":1}]})", "might both hold");
  says(json_schema, R"({"$ref":"http://x"})", "within this document");
  says(json_schema, R"({"$ref":"#/$defs/x"})", "nothing is there");
  says(json_schema, R"({"$ref":"#"})", "matches no text");
  says(json_schema, R"({"type":"string","maxLength":1e300})", "maxLength");
  says(json_schema, "false", "matches no text");
}

TEST_CASE("every text drawn from the masks of a random schema parses and validates") {
  std::mt19937 random(7);
  int complete_texts = 0;
  for (int i = 0; i < 150; ++i) {
    const Json schema = random_schema(random, 3);
    const std::string schema_text = dump_json(schema);
    CAPTURE(schema_text);
    auto made = Grammar::create(GrammarKind::json_schema, schema_text, byte_tokens());
    if (!made.ok()) continue;  // nothing can satisfy it: minimum above maximum, for one
    for (int k = 0; k < 4; ++k) {
      bool complete = false;
      const std::string text = draw(*made, random, 3000, complete);
      if (!complete) continue;
      CAPTURE(text);
      const auto parsed = parse_json(text, "text");
      REQUIRE(parsed.ok());
      REQUIRE(validates(*parsed, schema));
      CHECK((*made)->matches(text));
      ++complete_texts;
    }
  }
  CHECK(complete_texts > 300);
}

TEST_CASE("a mask allows what accept() accepts") {
  const auto grammar = make(GrammarKind::json_schema, R"({"type":"object","properties":{"name":{"type":"string","maxLength":3}},"required":["name"]})");
  GrammarMatcher matcher(grammar);
  for (char c : std::string("{\"name\":\"\xc3\xa9")) {
    const auto mask = matcher.mask();
    for (TokenId id = 0; id < 264; ++id) {
      GrammarMatcher copy = matcher;
      CHECK(copy.accept(id) == mask->allows(id));
    }
    REQUIRE(matcher.accept(static_cast<unsigned char>(c)));
  }
  CHECK_FALSE(matcher.mask()->allows(257));  // the end token is the session's
  for (const char* text : {"[ab]", "[^ab]", "[!-z]"}) {
    const auto mask = GrammarMatcher(make(GrammarKind::regex, text)).mask();
    std::vector<float> logits(270);
    for (std::size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(i);
    mask->apply(logits);
    for (std::size_t i = 0; i < logits.size(); ++i)
      CHECK((logits[i] == static_cast<float>(i)) == mask->allows(static_cast<TokenId>(i)));
  }
}

TEST_CASE("what must come is known without a model") {
  GrammarMatcher matcher(make(GrammarKind::gbnf, "root ::= \"abc\" [xy] \"end\""));
  std::vector<TokenId> ids;
  matcher.forced(ids);
  CHECK(ids == std::vector<TokenId>{'a', 'b'});  // the last one might have been longer
  for (char c : std::string("abcx")) REQUIRE(matcher.accept(c));
  matcher.forced(ids);
  CHECK(ids == std::vector<TokenId>{'e', 'n', 'd'});
  for (char c : std::string("end")) REQUIRE(matcher.accept(c));
  CHECK(matcher.is_complete());
  CHECK(matcher.mask()->count == 0);
  matcher.forced(ids);
  CHECK(ids.empty());
}

TEST_CASE("ambiguous and endless grammars stay within their bounds") {
  using enum GrammarKind;
  for (const char* text : {"root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"a\"", "root ::= \"[\" root \"]\" | \"x\"", "root ::= (\"a\"?){2000}", "root ::= (((\"a\"{1000}){1000}){1000}){1000}"}) {
    CAPTURE(text);
    const auto grammar = make(gbnf, text);
    GrammarMatcher matcher(grammar);
    for (int i = 0; i < 3000; ++i) {
      const auto mask = matcher.mask();
      if (mask->count == 0) break;
      const TokenId id = mask->allows('a') ? 'a' : mask->allows('[') ? '[' : mask->allows('x') ? 'x' : mask->allows(']') ? ']' : 'b';
      if (!mask->allows(id)) break;
      REQUIRE(matcher.accept(id));
    }
  }
  const auto nested = make(json_schema, "true");
  CHECK(nested->matches(std::string(300, '[') + std::string(300, ']')));
  CHECK_FALSE(nested->matches(std::string(300, '[') + std::string(299, ']')));
}
