// The C++ API in one page: load a model, ask, stream thinking and answer.
// usage: chat_cpp MODEL_FOLDER "What is 347+85?"
#include <cstdio>

#include "ponder/ponder.hpp"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s MODEL_FOLDER QUESTION\n", argv[0]);
    return 2;
  }
  auto model = ponder::Model::load(argv[1]);
  if (!model) {
    std::fprintf(stderr, "%s: %s\n", argv[1], model.error().message().c_str());
    return 1;
  }
  auto session = model->session({.context_length = 512});
  if (!session) {
    std::fprintf(stderr, "%s\n", session.error().message().c_str());
    return 1;
  }
  auto reply = session->generate(argv[2], [](std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
    return true;
  });
  if (!reply) {
    std::fprintf(stderr, "%s\n", reply.error().message().c_str());
    return 1;
  }
  std::printf("\n%zu characters of thinking, answer:%s\n", reply->thinking.size(), reply->answer.c_str());
}
