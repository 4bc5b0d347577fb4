// ponder inside a game: 60 frames a second, and the villagers answer when they are spoken to. Every frame gives the model one
// slice of time, after the world moved and before it is drawn; a line grows over many frames, and no frame is late for it.
// usage: game_loop MODEL_FOLDER [BUDGET_US [TOLERANCE_US]]
// Exit code: 0; 1 an error; 2 a wrong call; 3 a slice took more than BUDGET_US + TOLERANCE_US.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "ponder/ponder.hpp"

namespace {

using Clock = std::chrono::steady_clock;
using Us = std::chrono::microseconds;
constexpr Us kFrame{16667};
// A slice ends between two layers at the earliest, and the system may take the core away meanwhile: what is let pass.
constexpr Us kBudget{2000}, kTolerance{2000};

Us since(Clock::time_point start) { return std::chrono::duration_cast<Us>(Clock::now() - start); }

// Times by whole milliseconds; the last row holds all from 16 ms.
class Histogram {
 public:
  void add(Us time) {
    ++rows_[static_cast<std::size_t>(std::clamp<std::int64_t>(time.count() / 1000, 0, kRows - 1))];
    longest_ = std::max(longest_, time);
    ++count_;
  }
  Us longest() const { return longest_; }
  void print(const char* title) const {
    std::printf("%s: %d, the longest %.2f ms\n", title, count_, static_cast<double>(longest_.count()) / 1000);
    const int most = std::max(1, *std::max_element(rows_.begin(), rows_.end()));
    for (int i = 0; i < kRows; ++i) {
      const int n = rows_[static_cast<std::size_t>(i)];
      if (n == 0) continue;
      std::printf("  %2d ms%c %6d  %s\n", i, i == kRows - 1 ? '+' : ' ', n,
                  std::string(static_cast<std::size_t>((n * 40 + most - 1) / most), '#').c_str());
    }
  }

 private:
  static constexpr int kRows = 17;
  std::array<int, kRows> rows_{};
  Us longest_{0};
  int count_ = 0;
};

// What the game itself does in a frame.
class World {
 public:
  void update() {
    for (Leaf& leaf : leaves_) {
      leaf.x += leaf.speed, leaf.y += 0.01f;
      if (leaf.x > 100) leaf.x -= 100;
      if (leaf.y > 100) leaf.y -= 100;
    }
  }
  void draw() {
    screen_.fill('.');
    for (const Leaf& leaf : leaves_)
      screen_[static_cast<std::size_t>(leaf.y * 0.49f) * 100 + static_cast<std::size_t>(leaf.x * 0.99f)] = '*';
  }

 private:
  struct Leaf {
    float x, y, speed;
  };
  static std::vector<Leaf> leaves() {
    std::vector<Leaf> out;
    for (int i = 0; i < 5000; ++i)
      out.push_back({static_cast<float>(i % 100), static_cast<float>(i / 50), 0.1f + 0.001f * static_cast<float>(i % 7)});
    return out;
  }
  std::vector<Leaf> leaves_ = leaves();
  std::array<char, 5000> screen_{};
};

// The default model can do sums and nothing else, so the villagers talk about prices.
struct Villager {
  const char* name;
  int spoken_to;  // in this frame
  const char* question;
  const char* before;
  const char* behind;
  ponder::Session session;
  std::string answer = {};
  bool done = false;

  // The number in "\boxed{432}".
  std::string price() const {
    const std::size_t open = answer.find('{'), close = answer.find('}');
    return open < close && close != std::string::npos ? answer.substr(open + 1, close - open - 1) : answer;
  }
};

int show(const ponder::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const Us budget = argc > 2 ? Us{std::atoll(argv[2])} : kBudget, tolerance = argc > 3 ? Us{std::atoll(argv[3])} : kTolerance;
  if (argc < 2 || argc > 4 || budget <= Us{0}) {
    std::fprintf(stderr, "usage: %s MODEL_FOLDER [BUDGET_US [TOLERANCE_US]]\n", argv[0]);
    return 2;
  }

  // The loading screen: everything that takes memory is made here. One thread, the frame loop's: the other cores are the game's.
  const auto runtime = ponder::Runtime::create({.n_threads = 1});
  if (!runtime) return show(runtime.error());
  const auto model = ponder::Model::load(argv[1], {.runtime = *runtime});
  if (!model) return show(model.error());
  std::vector<Villager> villagers;
  for (const auto& [name, spoken_to, question, before, behind] :
       {std::tuple{"Mira the miller", 0, "What is 347+85?", "Flour and bread, let me see... that makes ", " gold."},
        std::tuple{"Odo the smith", 20, "What is 12*7?", "Twelve horseshoes at seven gold: ", " gold, my friend."},
        std::tuple{"Ines the innkeeper", 40, "What is 5+31-47?", "You gave me 36 and owe me 47. Your purse is at ", "."}}) {
    // Deferred prefill: a prompt is computed in slices too. Small chunks: nothing stops a chunk but its layers' ends.
    auto session = model->session({.context_length = 256, .prefill_chunk = 8, .defer_prefill = true});
    if (!session) return show(session.error());
    villagers.push_back({name, spoken_to, question, before, behind, std::move(*session)});
  }

  World world;
  Histogram frames, slices;
  std::size_t speaking = 0;  // they take turns
  Clock::time_point next_frame = Clock::now();
  for (int frame = 0; speaking < villagers.size(); ++frame) {
    const Clock::time_point frame_start = Clock::now();
    world.update();

    for (Villager& villager : villagers)
      if (villager.spoken_to == frame)
        if (const auto done = villager.session.prompt(villager.question); !done) return show(done.error());
    if (Villager& villager = villagers[speaking]; frame >= villager.spoken_to) {
      const Clock::time_point slice_start = Clock::now();
      for (Us left = budget; !villager.done && left > Us{0}; left = budget - since(slice_start)) {
        const auto slice = villager.session.step(left.count());
        if (!slice) return show(slice.error());
        villager.done = slice->done;
        if (slice->token && slice->token->channel == ponder::Channel::answer) villager.answer += slice->token->text;
      }
      slices.add(since(slice_start));
      if (villager.done) {
        std::printf("[frame %d] %s: \"%s%s%s\"\n", frame, villager.name, villager.before, villager.price().c_str(), villager.behind);
        ++speaking;
      }
    }

    world.draw();
    frames.add(since(frame_start));
    next_frame = std::max(next_frame + kFrame, frame_start);  // a late frame is not caught up with
    std::this_thread::sleep_until(next_frame);
  }

  frames.print("frames");
  slices.print("slices of the model");
  const bool over = slices.longest() > budget + tolerance;
  std::printf("budget %lld us, tolerance %lld us: %s\n", static_cast<long long>(budget.count()),
              static_cast<long long>(tolerance.count()), over ? "a slice took longer" : "kept");
  return over ? 3 : 0;
}
