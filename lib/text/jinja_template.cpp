// ChatTemplate::parse: the model's own template.
#include "lib/text/chat_template.h"
#include "lib/text/jinja_interp.h"
#include "lib/text/jinja_parser.h"

namespace ponder::core {

namespace {

class JinjaTemplate final : public ChatTemplate {
 public:
  JinjaTemplate(jinja::Block block, const TemplateLimits& limits) : block_(std::move(block)), limits_(limits) {}

  Result<RenderedChat> render(const ChatInput& input) const override {
    Result<RenderedChat> rendered = jinja::Interp(limits_).run(block_, input);
    if (!rendered.ok()) return std::move(rendered).status().with_prefix("chat template");
    return rendered;
  }

 private:
  jinja::Block block_;
  TemplateLimits limits_;
};

}  // namespace

Result<std::shared_ptr<const ChatTemplate>> ChatTemplate::parse(std::string_view jinja_source,
                                                                const TemplateLimits& limits) {
  Result<jinja::Block> block = jinja::parse(jinja_source, limits.max_depth);
  if (!block.ok()) return std::move(block).status().with_prefix("chat template");
  return std::shared_ptr<const ChatTemplate>(std::make_shared<JinjaTemplate>(std::move(block).value(), limits));
}

}  // namespace ponder::core
