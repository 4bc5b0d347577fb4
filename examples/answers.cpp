// Several questions at once: a batch of sessions that share forward passes, with computed prompts kept in a folder and a LoRA
// adapter. usage: answers_cpp MODEL_FOLDER CACHE_FOLDER ADAPTER_FOLDER SCALE QUESTION...
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "ponder/ponder.hpp"

namespace {

void answer(const char* const* argv, int argc) {
  const ponder::Model model = ponder::Model::load(argv[1]).value();
  const ponder::Adapter adapter = model.adapter(argv[3]).value();
  ponder::Batch batch = model.batch().value();
  std::vector<ponder::Session> sessions;
  std::map<const ponder_session*, std::string> answers;
  for (int i = 5; i < argc; ++i) {
    ponder::SessionOptions options;
    options.defer_prefill = true;  // the batch computes the prompts
    options.prompt_cache = argv[2];
    options.prompt_cache_min_tokens = 16;
    ponder::Session& session = sessions.emplace_back(model.session(options).value());
    session.set_adapter(adapter, std::strtof(argv[4], nullptr)).value();  // 1: as it was trained
    session.prompt(argv[i]).value();
    batch.add(session).value();
  }
  for (;;) {
    const ponder::Batch::Step step = batch.step().value();
    for (const ponder::Batch::Event& event : step.events)
      if (event.token && event.token->channel == ponder::Channel::answer) answers[event.session] += event.token->text;
    if (step.state == ponder::Batch::State::idle) break;
  }
  for (std::size_t i = 0; i < sessions.size(); ++i)
    std::printf("%s %s\n", argv[5 + i], answers[sessions[i].get()].c_str());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) {
    std::fprintf(stderr, "usage: %s MODEL_FOLDER CACHE_FOLDER ADAPTER_FOLDER SCALE QUESTION...\n", argv[0]);
    return 2;
  }
  try {
    answer(argv, argc);
    return 0;
  } catch (const ponder::Error& error) {
    std::fprintf(stderr, "%s\n", error.message().c_str());
    return 1;
  }
}
