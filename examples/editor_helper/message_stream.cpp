#include "examples/editor_helper/message_stream.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#if defined(_WIN32)
#include <fcntl.h>
#include <io.h>
#endif

namespace editor {
namespace {

constexpr std::string_view kLength = "content-length:";

// One line without its end; nullopt at the end of the input. Of a line that is too long only the beginning is kept.
std::optional<std::string> read_line(std::FILE* in) {
  std::string line;
  int c;
  while ((c = std::fgetc(in)) != EOF && c != '\n')
    if (line.size() < MessageStream::kMaxHeaderLine) line += static_cast<char>(c);
  if (c == EOF) return std::nullopt;
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return line;
}

bool is_length(std::string_view line) {
  return std::equal(kLength.begin(), kLength.end(), line.begin(), line.begin() + static_cast<std::ptrdiff_t>(std::min(line.size(), kLength.size())),
                    [](char want, char c) { return want == std::tolower(static_cast<unsigned char>(c)); });
}

std::optional<unsigned long long> parse_length(std::string_view line) {
  line.remove_prefix(kLength.size());
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  unsigned long long length = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), length);
  if (error != std::errc() || end != line.data() + line.size()) return std::nullopt;
  return length;
}

}  // namespace

MessageStream::MessageStream(std::FILE* in, std::FILE* out) : in_(in), out_(out) {
#if defined(_WIN32)
  _setmode(_fileno(in), _O_BINARY);
  _setmode(_fileno(out), _O_BINARY);
#endif
}

std::optional<MessageStream::Message> MessageStream::read() {
  std::optional<unsigned long long> length;
  std::string problem;
  for (bool any = false;;) {
    const std::optional<std::string> line = read_line(in_);
    if (!line) return std::nullopt;
    if (line->empty()) {
      if (any) break;
      continue;  // an empty line between messages does no harm
    }
    any = true;
    if (!is_length(*line)) continue;  // Content-Type and what else there may be
    length = parse_length(*line);
    if (!length) problem = "Content-Length is no number";
  }
  if (!problem.empty()) return Message{{}, problem};
  if (!length) return Message{{}, "a header without Content-Length"};

  Message message;
  if (*length > kMaxBytes) {
    message.problem = "a message of " + std::to_string(*length) + " bytes, at most " + std::to_string(kMaxBytes) + " are read";
    for (; *length > 0; --*length)
      if (std::fgetc(in_) == EOF) return std::nullopt;
    return message;
  }
  message.text.resize(static_cast<std::size_t>(*length));
  if (std::fread(message.text.data(), 1, message.text.size(), in_) != message.text.size()) return std::nullopt;
  return message;
}

void MessageStream::write(std::string_view text) {
  const std::lock_guard lock(writing_);
  std::fprintf(out_, "Content-Length: %zu\r\n\r\n", text.size());
  std::fwrite(text.data(), 1, text.size(), out_);
  std::fflush(out_);
}

}  // namespace editor
