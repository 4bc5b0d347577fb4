// Runs the ponder program as a user would: arguments and standard input in, both outputs and the exit code back.
#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#if !defined(_WIN32)
#include <sys/wait.h>
#include <unistd.h>
#endif

namespace ponder::test {

inline const std::string kModels = PONDER_TEST_DATA "/models/";
inline const std::string kTinyR1 = PONDER_MODELS "/ponder-tiny-r1";

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// A folder that is removed at the end of the test.
class Folder {
 public:
  Folder() {
    static int count = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("ponder-cli-test-" + std::to_string(::getpid()) + "-" + std::to_string(count++));
    std::filesystem::create_directories(path_);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return (path_ / name).string();
  }
  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

struct Outcome {
  int exit_code = -1;
  std::string out, err;
  nlohmann::json json() const {
    CAPTURE(out);
    CAPTURE(err);
    const auto parsed = nlohmann::json::parse(out, nullptr, false);
    REQUIRE(!parsed.is_discarded());
    return parsed;
  }
};

inline std::string quoted(const std::string& word) {
  std::string out = "'";
  for (char c : word) out += c == '\'' ? "'\\''" : std::string(1, c);
  return out + "'";
}

inline Outcome run_program(const std::vector<std::string>& arguments, const std::string& input = {}) {
  const Folder folder;
  std::string command = quoted(PONDER_PROGRAM);
  for (const std::string& argument : arguments) command += " " + quoted(argument);
  command += " <" + quoted(folder.write("in", input)) + " >" + quoted(folder.file("out")) + " 2>" + quoted(folder.file("err"));
  const int status = std::system(command.c_str());
  Outcome outcome;
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  outcome.out = read_file(folder.file("out"));
  outcome.err = read_file(folder.file("err"));
  return outcome;
}

inline std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> out;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    out.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

inline std::string comma_separated(const std::vector<std::int32_t>& ids) {
  std::string out;
  for (std::int32_t id : ids) out += (out.empty() ? "" : ",") + std::to_string(id);
  return out;
}

// One tensor of a safetensors file, as the program writes them.
struct TensorRead {
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::vector<float> f32;
  std::vector<std::int32_t> i32;
};
inline std::map<std::string, TensorRead> read_tensors(const std::string& path) {
  const std::string bytes = read_file(path);
  REQUIRE(bytes.size() > 8);
  std::uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | static_cast<unsigned char>(bytes[static_cast<std::size_t>(i)]);
  const auto header = nlohmann::json::parse(bytes.substr(8, length));
  std::map<std::string, TensorRead> out;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    TensorRead tensor{entry["dtype"], entry["shape"], {}, {}};
    const std::size_t begin = entry["data_offsets"][0], end = entry["data_offsets"][1];
    const char* data = bytes.data() + 8 + length + begin;
    if (tensor.dtype == "F32") {
      tensor.f32.resize((end - begin) / 4);
      std::memcpy(tensor.f32.data(), data, end - begin);
    } else if (tensor.dtype == "I32") {
      tensor.i32.resize((end - begin) / 4);
      std::memcpy(tensor.i32.data(), data, end - begin);
    }
    out[name] = std::move(tensor);
  }
  return out;
}

}  // namespace ponder::test
