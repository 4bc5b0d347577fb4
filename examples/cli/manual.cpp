// The manual page and the shells' completions, made of the options that the program has, so that they cannot fall behind.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>

#include "examples/cli/common.h"

namespace cli {
namespace {

struct Option {
  std::vector<std::string> names;     // "-p", "--prompt"
  std::string description;
  bool takes_value;
  std::vector<std::string> choices;   // of the value, when there are few
};
struct Command {
  std::string name, description;
  std::vector<Option> options;
};

// The words in "TEXT:{exact,fast}" or "INT:value in {bf16->3,f16->2} OR {3,2}", as CLI11 describes what it accepts.
std::vector<std::string> choices_of(const std::string& type) {
  std::vector<std::string> out;
  const std::size_t open = type.find('{'), close = type.find('}', open == type.npos ? 0 : open);
  if (open == type.npos || close == type.npos) return out;
  for (std::size_t at = open + 1; at < close;) {
    const std::size_t end = std::min(type.find(',', at), close);
    const std::string choice = type.substr(at, end - at);
    out.push_back(choice.substr(0, choice.find("->")));
    at = end + 1;
  }
  return out;
}

std::vector<Command> commands_of(CLI::App& app) {
  std::vector<Command> out;
  for (const CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) {
    out.push_back({command->get_name(), command->get_description(), {}});
    for (const CLI::Option* option : command->get_options()) {
      Option o{{}, option->get_description(), option->get_items_expected_max() > 0, choices_of(option->get_type_name())};
      for (const std::string& name : option->get_snames()) o.names.push_back("-" + name);
      for (const std::string& name : option->get_lnames()) o.names.push_back("--" + name);
      if (!o.names.empty()) out.back().options.push_back(std::move(o));
    }
  }
  return out;
}

std::string replace(std::string_view text, const std::function<const char*(char)>& with) {
  std::string out;
  for (const char c : text) {
    const char* instead = with(c);
    instead ? out += instead : out += c;
  }
  return out;
}
std::string join(const std::vector<std::string>& words, const char* between) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : between) + word;
  return out;
}

// man(7).
std::string roff(std::string_view text) {
  const std::string out = replace(text, [](char c) { return c == '\\' ? "\\e" : c == '-' ? "\\-" : nullptr; });
  return out.starts_with('.') || out.starts_with('\'') ? "\\&" + out : out;
}
std::string manual_page(const std::vector<Command>& commands) {
  std::string out = ".TH PONDER 1 \"\" \"ponder " PONDER_VERSION_STRING "\" \"User Commands\"\n"
                    ".SH NAME\nponder \\- run, inspect and measure DeepSeek models from a terminal\n"
                    ".SH SYNOPSIS\n.B ponder\n.I COMMAND\n.RI [ OPTIONS ]\n"
                    ".SH DESCRIPTION\nRuns DeepSeek\\-V2, V3 and R1 and the R1 distills on this machine, from Hugging Face folders and GGUF\n"
                    "files as they were published. Nothing is downloaded.\n"
                    ".SH COMMANDS\n";
  for (const Command& command : commands) {
    out += ".SS " + roff(command.name) + "\n" + roff(command.description) + ".\n";
    for (const Option& option : command.options) {
      std::vector<std::string> names;
      for (const std::string& name : option.names) names.push_back("\\fB" + roff(name) + "\\fR");
      const std::string value = option.choices.empty() ? "VALUE" : join(option.choices, "|");
      out += ".TP\n" + join(names, ", ") + (option.takes_value ? " \\fI" + roff(value) + "\\fR" : "") + "\n" +
             roff(option.description) + ".\n";
    }
  }
  return out + ".SH EXIT STATUS\n0 when all went well, 1 when something failed (the message says what), above 100 when the command line is wrong.\n"
               ".SH ENVIRONMENT\n.TP\n\\fBPONDER_MAX_ISA\\fR\nHighest instruction set, as \\fB\\-\\-max\\-isa\\fR.\n"
               ".TP\n\\fBPONDER_DEVICE\\fR\n\\fBauto\\fR (a GPU in fast compute, where there is one), \\fBcpu\\fR, "
               "\\fBcuda\\fR or \\fBcuda:N\\fR.\n"
               ".TP\n\\fBOLLAMA_MODELS\\fR, \\fBHF_HUB_CACHE\\fR, \\fBHF_HOME\\fR\nWhere models of other programs lie.\n"
               ".SH EXAMPLES\n.nf\nponder run \\-p \"What is 347+85?\"\n"
               "ponder run \\-\\-model DeepSeek\\-R1\\-Distill\\-Qwen\\-1.5B \\-p \"Why is the sky blue?\"\n"
               "ponder quantize \\-\\-help\n.fi\n";
}

std::vector<std::string> names_of(const std::vector<Command>& commands) {
  std::vector<std::string> out;
  for (const Command& command : commands) out.push_back(command.name);
  return out;
}

std::string bash_completion(const std::vector<Command>& commands) {
  const std::string names = join(names_of(commands), " ");
  std::string out = "# ponder(1) completion\n_ponder() {\n"
                    "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} words=\n"
                    "  COMPREPLY=()\n"
                    "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                    "    COMPREPLY=($(compgen -W \"" + names + " --help --version\" -- \"$current\"))\n    return\n  fi\n"
                    "  case \"${COMP_WORDS[1]} $previous\" in\n";
  for (const Command& command : commands)
    for (const Option& option : command.options) {
      if (!option.takes_value) continue;
      std::vector<std::string> patterns;
      for (const std::string& name : option.names) patterns.push_back("\"" + command.name + " " + name + "\"");
      out += "    " + join(patterns, "|") + ") " +
             (option.choices.empty() ? "COMPREPLY=($(compgen -f -- \"$current\")); compopt -o filenames 2>/dev/null"
                                     : "COMPREPLY=($(compgen -W \"" + join(option.choices, " ") + "\" -- \"$current\"))") +
             "; return ;;\n";
    }
  out += "  esac\n  case \"${COMP_WORDS[1]}\" in\n";
  for (const Command& command : commands) {
    std::vector<std::string> words;
    for (const Option& option : command.options) words.insert(words.end(), option.names.begin(), option.names.end());
    out += "    " + command.name + ") words=\"" + join(words, " ") + "\" ;;\n";
  }
  return out + "  esac\n  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n}\ncomplete -F _ponder ponder\n";
}

std::string zsh_completion(const std::vector<Command>& commands) {
  const auto text = [](const std::string& t) {
    return replace(t, [](char c) {
      return c == '[' ? "\\[" : c == ']' ? "\\]" : c == ':' ? "\\:" : c == '\'' ? "'\\''" : nullptr;
    });
  };
  std::string out = "#compdef ponder\n_ponder() {\n  local -a commands=(\n";
  for (const Command& command : commands) out += "    '" + command.name + ":" + text(command.description) + "'\n";
  out += "  )\n  if (( CURRENT == 2 )); then\n    _describe command commands\n    return\n  fi\n"
         "  local command=$words[2]\n  shift words\n  (( CURRENT-- ))\n  case $command in\n";
  for (const Command& command : commands) {
    out += "    " + command.name + ") _arguments";
    for (const Option& option : command.options) {
      const std::string value = !option.takes_value         ? ""
                                : option.choices.empty() ? ":value:_files"
                                                            : ":value:(" + join(option.choices, " ") + ")";
      for (const std::string& name : option.names)
        out += " \\\n      '" + name + "[" + text(option.description) + "]" + value + "'";
    }
    out += " ;;\n";
  }
  return out + "  esac\n}\nif [ \"$funcstack[1]\" = _ponder ]; then _ponder \"$@\"; else compdef _ponder ponder; fi\n";
}

std::string fish_completion(const std::vector<Command>& commands) {
  const auto text = [](const std::string& t) {
    return "'" + replace(t, [](char c) { return c == '\'' ? "\\'" : c == '\\' ? "\\\\" : nullptr; }) + "'";
  };
  std::string out = "complete -c ponder -n __fish_use_subcommand -f -l version\n";
  for (const Command& command : commands)
    out += "complete -c ponder -n __fish_use_subcommand -f -a " + command.name + " -d " + text(command.description) + "\n";
  for (const Command& command : commands)
    for (const Option& option : command.options) {
      out += "complete -c ponder -n '__fish_seen_subcommand_from " + command.name + "'";
      for (const std::string& name : option.names) out += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      if (option.takes_value) out += option.choices.empty() ? " -r" : " -x -a '" + join(option.choices, " ") + "'";
      out += " -d " + text(option.description) + "\n";
    }
  return out;
}

}  // namespace

void add_manual(CLI::App& app) {
  CLI::App* command = app.add_subcommand("manual", "Print the manual page, or a shell's completion");
  auto what = std::make_shared<std::string>();
  command->add_option("-f,--format", *what, "Manual page (man), or completion for a shell")
      ->required()
      ->check(CLI::IsMember({"man", "bash", "zsh", "fish"}));
  command->callback([&app, what] {
    const std::vector<Command> commands = commands_of(app);
    const std::string text = *what == "man"    ? manual_page(commands)
                             : *what == "bash" ? bash_completion(commands)
                             : *what == "zsh"  ? zsh_completion(commands)
                                               : fish_completion(commands);
    std::fwrite(text.data(), 1, text.size(), stdout);
  });
}

}  // namespace cli
