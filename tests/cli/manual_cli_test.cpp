#include <set>

#include "tests/cli/program.h"

using namespace ponder::test;

namespace {

std::string manual(const std::string& format) {
  const Outcome outcome = run_program({"manual", "-f", format});
  REQUIRE(outcome.exit_code == 0);
  return outcome.out;
}

// First words of the lines of --help that are indented by two: commands, or options with their commas.
std::vector<std::string> listed(const std::vector<std::string>& arguments, const std::string& heading) {
  std::vector<std::string> out;
  bool in = false;
  for (const std::string& line : lines(run_program(arguments).out)) {
    if (line == heading) in = true;
    else if (in && line.size() > 2 && line.starts_with("  ") && line[2] != ' ') out.push_back(line.substr(2, line.find(' ', 2) - 2));
  }
  REQUIRE(out.size() > 1);
  return out;
}

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> out(1);
  for (const char c : text) c == at ? out.push_back({}) : out.back().push_back(c);
  return out;
}

bool has_shell(const std::string& shell) { return std::system(("command -v " + shell + " >/dev/null 2>&1").c_str()) == 0; }

// What a shell prints that has read a completion and then runs `script`.
std::string completed(const std::string& shell, const std::string& format, const std::string& script) {
  const Folder folder;
  const std::string file = folder.write("completion", manual(format)), out = folder.file("out");
  const std::string command = shell + " -c " + quoted(". " + file + "; " + script) + " >" + out + " 2>&1";
  CHECK(std::system(command.c_str()) == 0);
  return read_file(out);
}

}  // namespace

TEST_CASE("manual: the manual page and all completions know every command and every option that --help shows") {
  std::map<std::string, std::string> texts;
  for (const char* format : {"man", "bash", "zsh", "fish"}) texts[format] = manual(format);
  for (const std::string& command : listed({"--help"}, "Subcommands:")) {
    CAPTURE(command);
    CHECK(texts["man"].find("\n.SS " + command + "\n") != std::string::npos);
    CHECK(texts["bash"].find("\n    " + command + ") words=") != std::string::npos);
    CHECK(texts["zsh"].find("\n    " + command + ") _arguments") != std::string::npos);
    CHECK(texts["fish"].find(" -a " + command + " -d ") != std::string::npos);
    for (const std::string& names : listed({command, "--help"}, "Options:"))
      for (const std::string& name : split(names, ',')) {
        CAPTURE(name);
        std::string roff;
        for (const char c : name) roff += c == '-' ? "\\-" : std::string(1, c);
        CHECK(texts["man"].find("\\fB" + roff + "\\fR") != std::string::npos);
        CHECK(texts["bash"].find(name) != std::string::npos);
        CHECK(texts["zsh"].find("'" + name + "[") != std::string::npos);
        CHECK(texts["fish"].find(name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1)) != std::string::npos);
      }
  }
}

TEST_CASE("manual: bash completes commands, options and choices") {
  const auto words = [](const std::string& line, int at) {
    return completed("bash", "bash", "COMP_WORDS=(" + line + "); COMP_CWORD=" + std::to_string(at) + "; _ponder; echo ${COMPREPLY[*]}");
  };
  CHECK(words("ponder qu", 1) == "quantize\n");
  CHECK(words("ponder run --comp", 2) == "--compute\n");
  CHECK(words("ponder run --compute ''", 3) == "exact fast\n");
  CHECK(words("ponder run --kv q", 3) == "q8_0\n");
  CHECK(words("ponder tokenize --comp", 2) == "\n");
}

TEST_CASE("manual: zsh and fish, where they are, read their completions" * doctest::skip(!has_shell("zsh") && !has_shell("fish"))) {
  if (has_shell("zsh")) CHECK(completed("zsh", "zsh", "true").find("error") == std::string::npos);
  if (has_shell("fish")) {
    CHECK(completed("fish", "fish", "complete -C 'ponder run --compute '").find("exact") != std::string::npos);
    CHECK(completed("fish", "fish", "complete -C 'ponder qu'").find("quantize") == 0);
  }
}

TEST_CASE("manual: man finds nothing to warn of" * doctest::skip(!has_shell("groff"))) {
  const Folder folder;
  const std::string page = folder.write("ponder.1", manual("man")), out = folder.file("out");
  CHECK(std::system(("groff -man -Tutf8 -ww -z " + page + " >" + out + " 2>&1").c_str()) == 0);
  CHECK(read_file(out) == "");
}
