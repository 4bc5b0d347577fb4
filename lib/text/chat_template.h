// Chat templates: messages in, prompt text out. Either the model's own Jinja template, run in a sandbox (bounded steps,
// depth and output), or a built-in DeepSeek format. Immutable after loading; any number of threads may render.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/memory.h"
#include "lib/base/status.h"
#include "lib/io/file_source.h"
#include "lib/io/gguf.h"
#include "lib/io/json.h"
#include "lib/text/tokenizer.h"

namespace ponder::core {

struct ChatInput {
  Json messages;  // OpenAI message array
  Json tools;     // array, or null
  bool add_generation_prompt = true;
  std::string bos_token;
  std::string eos_token;
  Json kwargs;    // object of further template variables, e.g. {"enable_thinking": true}, or null
  MemoryCharge* memory = nullptr;  // counts the values in use where they are more than a mebibyte
};

struct RenderedChat {
  std::string text;
  std::vector<TextSpan> content;  // spans that came from strings of messages, tools and kwargs; ascending, disjoint
};

struct TemplateLimits {
  std::size_t max_steps = 2'000'000;       // evaluated nodes
  std::size_t max_depth = 200;             // of expressions, blocks and macro calls
  std::size_t max_output_bytes = std::size_t{16} << 20;   // also of any string on the way
  std::size_t max_memory_bytes = std::size_t{256} << 20;  // values in use
};

class ChatTemplate {
 public:
  // Content in parts of text is given as it is to a template that goes through parts, joined to one string to any other.
  static Result<std::shared_ptr<const ChatTemplate>> parse(std::string_view jinja_source, const TemplateLimits& limits = {});
  // A checkpoint's own: chat_template.jinja, else chat_template of tokenizer_config.json (transformers' order); of a list
  // "tool_use" is taken for chats with tools. not_found: it has none.
  // memory (may be null): counts what it takes, somewhat more than it is.
  static Result<std::shared_ptr<const ChatTemplate>> load(const FileSource& source, const TemplateLimits& limits = {},
                                                          MemoryCharge* memory = nullptr);
  // A GGUF file's own, of its metadata. not_found: it has none.
  static Result<std::shared_ptr<const ChatTemplate>> load(const Gguf& file, const TemplateLimits& limits = {},
                                                          MemoryCharge* memory = nullptr);
  // "deepseek-v2", "deepseek-v3", "deepseek-r1", "r1-distill". Content in parts is joined. The kwarg enable_thinking=false closes
  // the thinking that the generation prompt of the last two opens, with nothing in it; the others open none. V2's turn labels
  // are plain text, so content can imitate them.
  static Result<std::shared_ptr<const ChatTemplate>> builtin(std::string_view name);
  virtual ~ChatTemplate() = default;

  virtual Result<RenderedChat> render(const ChatInput& input) const = 0;
};

}  // namespace ponder::core
