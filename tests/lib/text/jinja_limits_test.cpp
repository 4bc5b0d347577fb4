#include <doctest/doctest.h>

#include "lib/text/chat_template.h"

using namespace ponder::core;

namespace {

std::string repeated(std::string_view text, std::size_t n) {
  std::string out;
  while (n-- > 0) out += text;
  return out;
}

// The message of the failure to parse or render.
std::string failure(std::string_view source, const TemplateLimits& limits = {}, Json messages = Json(Json::Array())) {
  const auto chat_template = ChatTemplate::parse(source, limits);
  if (!chat_template.ok()) {
    CHECK(chat_template.status().code() == Code::bad_template);
    return chat_template.status().message();
  }
  ChatInput input;
  input.messages = std::move(messages);
  const auto rendered = chat_template.value()->render(input);
  REQUIRE_FALSE(rendered.ok());
  CHECK(rendered.status().code() == Code::bad_template);
  return rendered.status().message();
}

void check_failure(std::string_view source, std::string_view limit, int line) {
  CAPTURE(source.substr(0, 120));
  const std::string message = failure(source);
  CAPTURE(message);
  CHECK(message.find(limit) != message.npos);
  CHECK(message.starts_with("chat template: line " + std::to_string(line) + ":"));
}

}  // namespace

TEST_CASE("jinja limits: loops that never end run out of steps") {
  check_failure("\n{% for i in range(100000) %}\n{% for j in range(100000) %}{% endfor %}{% endfor %}", "max_steps", 3);
  check_failure("{% for a in range(99999) %}{% for b in range(99999) %}{{ a if b }}{% endfor %}{% endfor %}", "max_steps", 1);
  check_failure("{{ (range(100000) | list) * 100 }}", "max_steps", 1);
  check_failure("{% set l = range(100000) | list %}{% for x in l %}{% if x in l[::-1] %}{% endif %}{% endfor %}", "max_steps", 1);
  check_failure("{% set l = (range(100000) | list) + (range(100000) | list) %}{{ l | unique | list | length }}", "max_steps", 1);
}

TEST_CASE("jinja limits: reading long texts over and over runs out of steps") {
  const std::string loop = "{% set s = 'a' * 4000000 %}{% for i in range(100000) %}{% set x = ";
  for (const char* read : {"s | upper", "s | int", "s | wordcount", "s | escape", "s.startswith(s)", "s.rpartition('y')", "s.count('a')",
                           "s.find('b')", "'b' in s", "s is upper", "s.isalpha()", "s.strip('a')", "s == s ~ ''", "s[1]~s", "s | tojson",
                           "('a' * 2000000 ~ 'b') in s", "s.replace('a' * 2000000 ~ 'b', '')", "s.rsplit('b' ~ 'a' * 2000000)"}) {
    CAPTURE(read);
    CHECK(failure(loop + read + " %}{% endfor %}", {.max_steps = 200'000}).find("max_steps") != std::string::npos);
  }
  std::string names = "{% for i in range(100000) %}";
  for (int i = 0; i < 20000; ++i) names += "{% set v" + std::to_string(i) + " = v0 %}";
  CHECK(failure(names + "{% endfor %}").find("max_steps") != std::string::npos);
  CHECK(failure("{% set n = namespace() %}{% set n.n = n %}{% for i in range(100000) %}{% set x = [n] | map(attribute='n.' * 10000 ~ 'n') | list %}{% endfor %}")
            .find("max_steps") != std::string::npos);
  CHECK(failure("{% macro m(" + repeated("a,", 5000) + "b) %}{% endmacro %}").find("there twice") != std::string::npos);
}

TEST_CASE("jinja limits: a range beyond the sandbox's, a product beyond 64 bits") {
  check_failure("a\n{% for i in range(10**9) %}{% endfor %}", "range: more than 100000 elements", 2);
  check_failure("{{ range(-9223372036854775807, 9223372036854775807, 1) }}", "range: more than 100000", 1);
  check_failure("{{ 2 ** 64 }}", "64 bits", 1);
  check_failure("{{ 9223372036854775807 + 1 }}", "64 bits", 1);
  check_failure("{{ 99999999999999999999 }}", "64 bits", 1);
  check_failure("{{ -9223372036854775807 - 2 }}", "64 bits", 1);
}

TEST_CASE("jinja limits: text that doubles") {
  check_failure("{% set ns = namespace(s='x') %}\n{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}", "max_output_bytes", 2);
  check_failure("{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}", "max_output_bytes", 1);
  check_failure("{{ 'x' * 1000000000 }}", "max_output_bytes", 1);
  check_failure("{{ ('x' * 10000000).replace('', 'y' * 1000000) }}", "max_output_bytes", 1);
  check_failure("{{ 'x'.ljust(10**12) }}", "max_output_bytes", 1);
  check_failure("{{ '%1000000000d' % 1 }}", "max_output_bytes", 1);
  check_failure("{{ '{:>1000000000}'.format('a') }}", "max_output_bytes", 1);
  check_failure("{{ ('x' * 10000).join('y' * 10000) }}", "max_output_bytes", 1);
  check_failure("{{ [1] | tojson(indent=10**12) }}", "max_output_bytes", 1);
  check_failure("{{ ('a\\n' * 100000) | indent(100000) }}", "max_output_bytes", 1);
  check_failure("{% for i in range(1000) %}{{ 'x' * 100000 }}{% endfor %}", "max_output_bytes", 1);
  check_failure("{% macro m(n) %}{% if n %}{{ m(n - 1) ~ m(n - 1) }}{% else %}{{ 'x' * 1000 }}{% endif %}{% endmacro %}{{ m(30) }}", "max_", 1);
}

TEST_CASE("jinja limits: values that pile up") {
  check_failure("{% set ns = namespace(l=[]) %}{% for i in range(1000) %}{% set ns.l = ns.l + [[0] * 10000] %}{% endfor %}", "max_memory_bytes", 1);
  check_failure("{% set ns = namespace(l=[1]) %}{% for i in range(100) %}{% set ns.l = ns.l + ns.l %}{% endfor %}", "max_", 1);
  check_failure("{% set x = ('x' * 10000000) | list %}", "max_", 1);
}

TEST_CASE("jinja limits: recursion") {
  check_failure("{% macro m() %}\n{{ m() }}{% endmacro %}{{ m() }}", "max_depth", 2);
  check_failure("{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}", "max_depth", 1);
  check_failure("{% macro m() %}{{ ['m'] | map('upper') | list }}{{ caller() }}{% endmacro %}{% macro n() %}{% call m() %}{{ n() }}{% endcall %}{% endmacro %}{{ n() }}", "max_depth", 1);
  check_failure("{% macro m(x=m()) %}{% endmacro %}{{ m() }}", "max_depth", 1);
}

TEST_CASE("jinja limits: values that hold themselves are printed as far as the depth goes") {
  check_failure("{% set n = namespace() %}{% set n.n = n %}\n{{ n }}", "max_depth", 2);
  check_failure("{% set n = namespace() %}{% set n.n = [n, {'a': n}] %}{{ n.n }}", "max_depth", 1);
  check_failure("{% set n = namespace(l=[]) %}{% for i in range(1000) %}{% set n.l = [n.l] %}{% endfor %}{{ n.l }}", "max_depth", 1);
  check_failure("{% set n = namespace(l=[]) %}{% for i in range(1000) %}{% set n.l = [n.l] %}{% endfor %}{{ n.l | tojson }}", "max_depth", 1);
  check_failure("{% set n = namespace(l=[], m=[]) %}{% for i in range(1000) %}{% set n.l = [n.l] %}{% set n.m = [n.m] %}{% endfor %}{{ n.l == n.m }}", "max_depth", 1);
  ChatInput input;  // not printed: no failure, and no leak
  CHECK(ChatTemplate::parse("{% set n = namespace() %}{% set n.n = n %}{% for i in range(100000) %}{% set n.l = [n.l] %}{% endfor %}ok").value()
            ->render(input).value().text == "ok");
}

TEST_CASE("jinja limits: nesting in the source is refused while parsing") {
  for (const auto& [open, close] : {std::pair("(", ")"), std::pair("[", "]"), std::pair("{1:", "}"), std::pair("not ", ""),
                                    std::pair("-", ""), std::pair("f(", ")"), std::pair("a[", "]"), std::pair("1 if 1 else ", "")}) {
    const std::string opening = open;  // a binding cannot be captured
    CAPTURE(opening);
    for (const std::size_t n : {300u, 50000u}) {
      const std::string message = failure("\n{{ " + repeated(open, n) + "1" + repeated(close, n) + " }}");
      CHECK(message.find("line 2: ") != message.npos);
      CHECK(message.find("max_depth") != message.npos);
    }
  }
  for (const char* suffix : {".a", "[0]", "()", "|upper", " is defined"})
    CHECK(failure("{{ x" + repeated(suffix, 50000) + " }}").starts_with("chat template: line 1: "));
  CHECK(failure(repeated("{% if 1 %}", 50000)).find("max_depth") != std::string::npos);
  CHECK(failure(repeated("{% for x in y %}", 50000)).find("max_depth") != std::string::npos);
  CHECK(failure(repeated("{% macro m() %}", 50000)).find("max_depth") != std::string::npos);
  CHECK(failure(std::string((1 << 20) + 1, 'x')).find("the template has 1048577 bytes, at most 1048576 are read") != std::string::npos);
  CHECK(failure("{% for " + repeated("(", 50000) + "x" + repeated(")", 50000) + " in y %}{% endfor %}").find("max_depth") != std::string::npos);
}

TEST_CASE("jinja limits: long chains are not deep") {
  ChatInput input;
  for (const char* op : {" + ", " ~ ", " * ", " and ", " or ", " == "}) {
    CAPTURE(op);
    CHECK(ChatTemplate::parse("{{ 1" + repeated(std::string(op) + "1", 5000) + " }}").value()->render(input).ok());
  }
  CHECK(ChatTemplate::parse("{% if 0 %}" + repeated("{% elif 0 %}", 5000) + "{% endif %}").value()->render(input).ok());
}

TEST_CASE("jinja limits: they are those the host gave") {
  CHECK(failure("{% for i in range(50) %}{% endfor %}", {.max_steps = 40}).find("more than 40 steps") != std::string::npos);
  CHECK(failure("0123456789a", {.max_output_bytes = 10}).find("more than 10 bytes of text") != std::string::npos);
  CHECK(failure("{{ ((((1)))) }}", {.max_depth = 5}).find("deeper than 5") != std::string::npos);
  CHECK(failure("{{ 'x' * 5000 ~ 1 }}", {.max_memory_bytes = 4000}).find("more than 4000 bytes") != std::string::npos);
}

TEST_CASE("jinja limits: messages nested too deep are refused") {
  Json deep = Json(Json::Array());
  for (int i = 0; i < 300; ++i) deep = Json(Json::Array{std::move(deep)});
  CHECK(failure("", {}, deep).find("max_depth") != std::string::npos);
}

TEST_CASE("jinja errors: they name the line and what was found") {
  CHECK(failure("a\nb\n{{ messages[0].content }}").find("line 3: list object has no element 0") != std::string::npos);
  CHECK(failure("{{ x.y }}").find("line 1: 'x' is undefined") != std::string::npos);
  CHECK(failure("\n\n{{ raise_exception('roles must alternate') }}").find("line 3: the template refuses the input: roles must alternate") != std::string::npos);
  CHECK(failure("{{ 1 +\n\n}}").find("line 3: found '}}', want an expression") != std::string::npos);
  CHECK(failure("\n{% if x %}\n\n").find("line 2: the block that starts here has no end, want 'endif'") != std::string::npos);
  CHECK(failure("{{ [].append(1) }}").find("templates cannot change values") != std::string::npos);
  CHECK(failure("{{ 1 | nope }}").find("there is no filter 'nope'") != std::string::npos);
  CHECK(failure("{% set x = 1 %}\n{{ 'a' +\n x }}").find("'+' does not take str and int") != std::string::npos);
  CHECK(failure("\xff").find("not valid UTF-8 at byte 0") != std::string::npos);
}

TEST_CASE("jinja: messages that are not valid UTF-8 are rendered as they are") {
  ChatInput input;
  input.messages = Json(Json::Array{Json(std::string("\xff" "a\xe4\xbd"))});
  for (const char* expression : {"messages[0]", "messages[0] | upper | lower", "messages[0][::-1][::-1]", "messages[0] | list | join"}) {
    CAPTURE(expression);
    const auto rendered = ChatTemplate::parse("{{ " + std::string(expression) + " }}").value()->render(input);
    REQUIRE(rendered.ok());
    CHECK(rendered->text == "\xff" "a\xe4\xbd");
  }
}
