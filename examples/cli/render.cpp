#include <cstdio>
#include <memory>

#include "examples/cli/common.h"

namespace cli {

void add_template(CLI::App& app) {
  struct Options {
    std::string tokenizer, builtin, messages;
    bool no_generation_prompt = false;
    std::vector<std::string> kwargs;
  };
  auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("template", "The prompt text that a chat template makes of messages");
  auto* folder = command->add_option("--tokenizer,-m,--model", o->tokenizer, "Folder with tokenizer_config.json, or a GGUF file");
  command->add_option("--builtin", o->builtin, "deepseek-v2, deepseek-v3, deepseek-r1 or r1-distill")->excludes(folder);
  command->add_option("--messages", o->messages, "JSON file of messages; - is standard input")->required();
  command->add_flag("--no-generation-prompt", o->no_generation_prompt, "Do not open the assistant's turn");
  command->add_option("--kwarg", o->kwargs, "NAME=VALUE, a further template variable; VALUE is JSON, else text");
  command->callback([o] {
    if (o->tokenizer.empty() && o->builtin.empty()) throw Failure{"name a template: --tokenizer DIR or --builtin NAME"};
    const ponder::ChatTemplate chat_template = unwrap(o->builtin.empty() ? ponder::ChatTemplate::load(unwrap(ponder::Model::resolve(o->tokenizer)))
                                                                          : ponder::ChatTemplate::builtin(o->builtin));
    const std::string text = unwrap(chat_template.render(read_text_file(o->messages), parse_kwargs(o->kwargs),
                                                         o->no_generation_prompt ? PONDER_CHAT_NO_GENERATION_PROMPT : 0));
    std::fwrite(text.data(), 1, text.size(), stdout);
  });
}

}  // namespace cli
