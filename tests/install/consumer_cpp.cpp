// A host in C++: the same question through ponder.hpp.
#include <cstdio>

#include "ponder/ponder.hpp"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const auto model = ponder::Model::load(argv[1]);
  if (!model) return std::puts(model.error().what()), 1;
  auto session = model->session({.context_length = 128});
  if (!session) return std::puts(session.error().what()), 1;
  std::vector<std::int32_t> ids{256, 258};
  for (const unsigned char c : std::string_view("What is 347+85?")) ids.push_back(c);
  ids.insert(ids.end(), {259, 260, 10});
  if (const auto done = session->prompt_ids(ids); !done) return std::puts(done.error().what()), 1;
  const ponder::Reply reply = session->generate();
  std::puts(reply.answer.c_str());
  return reply.answer == "\\boxed{432}" ? 0 : 1;
}
