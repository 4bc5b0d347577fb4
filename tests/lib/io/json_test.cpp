#include "lib/io/json.h"

#include <doctest/doctest.h>

using namespace ponder::core;

TEST_CASE("json: objects keep the order of the file and a repeated key its last value at its first place") {
  const Result<Json> json = parse_json(R"({"b": 1, "a": [true, null, 2.5], "b": "x"})", "test");
  REQUIRE(json.ok());
  CHECK(dump_json(*json) == R"({"b": "x", "a": [true, null, 2.5]})");
}

TEST_CASE("json: integers beyond int64 become doubles") {
  const Result<Json> json = parse_json("[9223372036854775807, 9223372036854775808, -9223372036854775808]", "test");
  REQUIRE(json.ok());
  CHECK(json->as_array()[0].is_int());
  CHECK(json->as_array()[1].as_double() == 9223372036854775808.0);
  CHECK(json->as_array()[2].is_int());
}

TEST_CASE("json: text is written as Python's json.dumps writes it") {
  CHECK(dump_json(Json("a\"\\\n\x01\xc3\xa9")) == "\"a\\\"\\\\\\n\\u0001\xc3\xa9\"");
  CHECK(dump_json(Json(1.0)) == "1.0");
  CHECK(dump_json(Json(1e20)) == "1e+20");
  CHECK(dump_json(Json(0.1)) == "0.1");
  CHECK(dump_json(Json(1e-5)) == "1e-05");
  const Result<Json> json = parse_json(R"({"a": [1, 2], "b": {}, "c": []})", "test");
  REQUIRE(json.ok());
  CHECK(dump_json(*json, 2) == "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {},\n  \"c\": []\n}");
}

TEST_CASE("json: a syntax error names the file and the byte") {
  const Result<Json> json = parse_json(R"({"a": })", "config.json");
  REQUIRE_FALSE(json.ok());
  CHECK(json.status().code() == Code::bad_file);
  CHECK(json.status().message().starts_with("config.json: byte 7: "));
}

TEST_CASE("json: what strict JSON does not know is refused") {
  for (const std::string_view text : {"", " ", "{", "[1,]", "{\"a\":1,}", "// x\n1", "NaN", "01", "'a'", "1 2", "\"\\x\"",
                                      "\"\x01\"", "\"\xff\"", "\"\xed\xa0\x80\"", "\"\\ud800\"", "1e999"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_json(text, "test").ok());
  }
  CHECK_FALSE(parse_json(std::string_view("{}\0x", 4), "test").ok());
}

TEST_CASE("json: deep nesting is refused without deep recursion") {
  const std::string deep(1'000'000, '[');
  const Result<Json> json = parse_json(deep, "test");
  REQUIRE_FALSE(json.ok());
  CHECK(json.status().message().find("nested deeper than 128") != std::string::npos);
  CHECK(parse_json("[[1]]", "test", {.max_depth = 2}).ok());
  CHECK_FALSE(parse_json("[[[1]]]", "test", {.max_depth = 2}).ok());
}

TEST_CASE("json: too long a text is refused before it is read") {
  CHECK(parse_json("[1]", "test", {.max_bytes = 3}).ok());
  CHECK_FALSE(parse_json("[1] ", "test", {.max_bytes = 3}).ok());
}

TEST_CASE("json: set makes null an object and replaces a member in place") {
  Json json;
  json.set("a", 1);
  json.set("b", 2);
  json.set("a", "x");
  CHECK(dump_json(json) == R"({"a": "x", "b": 2})");
  CHECK(json.find("c") == nullptr);
  CHECK(Json(3).find("a") == nullptr);
}

TEST_CASE("json: a handler that stops gives its reason") {
  struct NoNumbers : JsonEvents {
    bool null() override { return true; }
    bool boolean(bool) override { return true; }
    bool integer(std::int64_t) override { return false; }
    bool number(double) override { return false; }
    bool string(std::string&) override { return true; }
    bool start_object() override { return true; }
    bool key(std::string&) override { return true; }
    bool end_object() override { return true; }
    bool start_array() override { return true; }
    bool end_array() override { return true; }
    std::string error() const override { return "no numbers here"; }
  } events;
  CHECK(parse_json_events(R"({"a": ["b"]})", "test", events).ok());
  const Status status = parse_json_events(R"(["b", 1])", "test", events);
  CHECK(status.message().find("no numbers here") != std::string::npos);
}
