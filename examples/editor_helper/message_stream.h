// Messages over two byte streams, framed as editors do it (the base protocol of LSP): header lines, of which Content-Length
// counts, an empty line, and that many bytes.
#pragma once

#include <cstddef>
#include <cstdio>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace editor {

class MessageStream {
 public:
  static constexpr std::size_t kMaxBytes = 16u << 20, kMaxHeaderLine = 4096;

  MessageStream(std::FILE* in, std::FILE* out);  // both become binary
  struct Message {
    std::string text;
    std::string problem;  // not empty: this was no message; what follows is read on
  };
  // The next message; nullopt at the end of the input. One thread at a time.
  std::optional<Message> read();
  // Any thread.
  void write(std::string_view text);

 private:
  std::FILE *in_, *out_;
  std::mutex writing_;
};

}  // namespace editor
