// ponder inside a program with a frame loop: one thread, no callbacks, every frame gives the model a slice of time. A
// terminal stands for the window here; Ctrl-C closes it.
// usage: embed_in_ui MODEL_FOLDER "What is 347+85?"
#include <chrono>
#include <csignal>
#include <cstdio>
#include <string>
#include <thread>

#include "ponder/ponder.hpp"

namespace {

volatile std::sig_atomic_t closing = 0;

// What the window shows.
struct View {
  std::string thinking, answer;
  int n_frames = 0;

  void draw() {
    const char* wheel = "|/-\\";
    std::printf("\r%c frame %d, %zu characters of thinking, answer: %s\033[K", wheel[n_frames % 4], n_frames, thinking.size(),
                answer.c_str());
    std::fflush(stdout);
    ++n_frames;
  }
};

int show(const ponder::Error& error) {
  std::fprintf(stderr, "\n%s\n", error.what());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s MODEL_FOLDER QUESTION\n", argv[0]);
    return 2;
  }
  std::signal(SIGINT, [](int) { closing = 1; });
  // The program's other threads keep their cores: ponder computes on the frame loop's thread alone.
  auto runtime = ponder::Runtime::create({.n_threads = 1});
  if (!runtime) return show(runtime.error());
  auto model = ponder::Model::load(argv[1], {.runtime = *runtime});
  if (!model) return show(model.error());
  // The prefill is computed in slices too, so that a long prompt does not stop the picture.
  auto session = model->session({.context_length = 512, .prefill_chunk = 32, .defer_prefill = true});
  if (!session) return show(session.error());
  if (auto done = session->prompt(argv[2]); !done) return show(done.error());

  using Clock = std::chrono::steady_clock;
  constexpr auto kFrame = std::chrono::microseconds(16667);
  constexpr auto kSlice = std::chrono::microseconds(8000);
  View view;
  for (bool thinking = true; thinking && !closing;) {
    const Clock::time_point frame_end = Clock::now() + kFrame, slice_end = Clock::now() + kSlice;
    for (Clock::time_point now = Clock::now(); thinking && now < slice_end; now = Clock::now()) {
      const auto budget = std::chrono::duration_cast<std::chrono::microseconds>(slice_end - now);
      auto slice = session->step(budget.count());
      if (!slice) return show(slice.error());
      thinking = !slice->done;
      if (slice->token)
        (slice->token->channel == ponder::Channel::thinking ? view.thinking : view.answer) += slice->token->text;
    }
    view.draw();
    std::this_thread::sleep_until(frame_end);
  }
  std::printf("\n%s\n", closing ? "closed" : view.answer.c_str());
}
