// ChatTemplate::parse and load: the model's own template.
#include "lib/base/format.h"
#include "lib/text/chat_content.h"
#include "lib/text/chat_template.h"
#include "lib/text/jinja_interp.h"
#include "lib/text/jinja_parser.h"
#include "lib/text/tokenizer_config.h"
#include "lib/text/tokenizer_gguf.h"

namespace ponder::core {

namespace {

constexpr std::size_t kTreeBytes = 48;  // of memory, for a byte of a template

class JinjaTemplate final : public ChatTemplate {
 public:
  JinjaTemplate(jinja::Block block, const TemplateLimits& limits) : block_(std::move(block)), limits_(limits) {}

  Result<RenderedChat> render(const ChatInput& input) const override {
    if (!has_content_parts(input.messages) || takes_parts(input)) return run(input);
    ChatInput joined = input;
    PONDER_ASSIGN(joined.messages, join_content_parts(input.messages));
    return run(joined);
  }

 private:
  Result<RenderedChat> run(const ChatInput& input) const {
    Result<RenderedChat> rendered = jinja::Interp(limits_).run(block_, input);
    if (!rendered.ok()) return std::move(rendered).status().with_prefix("chat template");
    return rendered;
  }

  // Whether the template goes through the parts of a content itself. One that does not fails at them or prints them as the
  // list that they are, with the member that nobody asks for.
  bool takes_parts(const ChatInput& input) const {
    constexpr std::string_view kText = "the text of a part", kOther = "the other member";
    const Json part(Json::Object{{"type", "text"}, {"text", kText}, {std::string(kOther), "x"}});
    ChatInput probe;
    probe.messages = Json(Json::Array{Json(Json::Object{{"role", "user"}, {"content", Json(Json::Array{part})}})});
    probe.bos_token = input.bos_token;
    probe.eos_token = input.eos_token;
    probe.kwargs = input.kwargs;
    const Result<RenderedChat> rendered = run(probe);
    return rendered.ok() && rendered->text.find(kText) != std::string::npos && rendered->text.find(kOther) == std::string::npos;
  }

  jinja::Block block_;
  TemplateLimits limits_;
};

// The templates "default" and "tool_use" of one list.
class TemplatePair final : public ChatTemplate {
 public:
  TemplatePair(std::shared_ptr<const ChatTemplate> plain, std::shared_ptr<const ChatTemplate> with_tools)
      : plain_(std::move(plain)), with_tools_(std::move(with_tools)) {}

  Result<RenderedChat> render(const ChatInput& input) const override {
    return (input.tools.is_null() ? plain_ : with_tools_)->render(input);
  }

 private:
  std::shared_ptr<const ChatTemplate> plain_, with_tools_;
};

Result<std::shared_ptr<const ChatTemplate>> of_config(const TokenizerConfig& config, const TemplateLimits& limits,
                                                      MemoryCharge* memory) {
  if (memory) PONDER_TRY(memory->add(kTreeBytes * (config.chat_template.size() + config.tool_template.size())));
  PONDER_ASSIGN(std::shared_ptr<const ChatTemplate> plain, ChatTemplate::parse(config.chat_template, limits));
  if (config.tool_template.empty() || config.tool_template == config.chat_template) return plain;
  PONDER_ASSIGN(std::shared_ptr<const ChatTemplate> with_tools, ChatTemplate::parse(config.tool_template, limits));
  return std::shared_ptr<const ChatTemplate>(std::make_shared<TemplatePair>(std::move(plain), std::move(with_tools)));
}

}  // namespace

Result<std::shared_ptr<const ChatTemplate>> ChatTemplate::parse(std::string_view jinja_source,
                                                                const TemplateLimits& limits) {
  Result<jinja::Block> block = jinja::parse(jinja_source, limits.max_depth);
  if (!block.ok()) return std::move(block).status().with_prefix("chat template");
  return std::shared_ptr<const ChatTemplate>(std::make_shared<JinjaTemplate>(std::move(block).value(), limits));
}

Result<std::shared_ptr<const ChatTemplate>> ChatTemplate::load(const FileSource& source, const TemplateLimits& limits,
                                                               MemoryCharge* memory) {
  if (source.exists("chat_template.jinja")) {
    PONDER_ASSIGN(const FileView file, source.open("chat_template.jinja"));
    if (memory) PONDER_TRY(memory->add(kTreeBytes * file.bytes.size()));
    return parse(file.text(), limits);
  }
  TokenizerConfig config;
  if (source.exists("tokenizer_config.json")) {
    PONDER_ASSIGN(const FileView file, source.open("tokenizer_config.json"));
    PONDER_ASSIGN(config, TokenizerConfig::parse(file.text(), memory));
  }
  if (config.chat_template.empty())
    return fail(Code::not_found, "{}: neither chat_template.jinja nor a chat_template in tokenizer_config.json",
                source.describe());
  return of_config(config, limits, memory);
}

Result<std::shared_ptr<const ChatTemplate>> ChatTemplate::load(const Gguf& file, const TemplateLimits& limits,
                                                               MemoryCharge* memory) {
  PONDER_ASSIGN(const TokenizerConfig config, read_gguf_tokenizer_config(file));
  if (config.chat_template.empty())
    return fail(Code::not_found, "{}: no tokenizer.chat_template", file.file().name);
  return of_config(config, limits, memory);
}

}  // namespace ponder::core
