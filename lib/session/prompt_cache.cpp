#include "lib/session/prompt_cache.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "lib/base/format.h"
#include "lib/io/folder.h"
#include "lib/io/mapped_file.h"
#include "lib/session/state_bytes.h"

namespace ponder::core {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kMagic = "PNDRPRMT", kSuffix = ".ponderkv";
constexpr std::uint32_t kVersion = 2;
constexpr std::size_t kHeaderBytes = 40, kChecksumBytes = 8, kBlock = KvCache::kBlockTokens;
constexpr std::uint64_t kDefaultBytes = std::uint64_t{4} << 30;
constexpr std::size_t kDefaultMinTokens = 256;
constexpr std::size_t kMinGain = 16;  // tokens: what all prompts begin with is no use of a file
constexpr auto kTemporaryAge = std::chrono::hours(24);  // what a process that died has left

// Now is the last use of the file.
void touch(const fs::path& path) {
  std::error_code ignored;
  fs::last_write_time(path, fs::file_time_type::clock::now(), ignored);
}

void drop_file(const fs::path& path) {
  std::error_code ignored;
  fs::remove(path, ignored);
}

std::size_t file_bytes(std::size_t n_tokens, std::size_t token_bytes) {
  const std::size_t n_blocks = (n_tokens + kBlock - 1) / kBlock;
  return kHeaderBytes + n_tokens * sizeof(TokenId) + kChecksumBytes + n_tokens * token_bytes + n_blocks * kChecksumBytes;
}

std::size_t common_prefix(std::span<const TokenId> a, std::span<const TokenId> b) {
  const std::size_t n = std::min(a.size(), b.size());
  return static_cast<std::size_t>(std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(n), b.begin()).first - a.begin());
}

std::uint64_t prompt_of(std::span<const TokenId> ids) {
  return checksum({reinterpret_cast<const char*>(ids.data()), ids.size_bytes()});
}

}  // namespace

// A file whose header and tokens are sound.
struct PromptCache::Entry {
  fs::path path;
  std::shared_ptr<const MappedFile> file;
  std::vector<TokenId> ids;
  KvLayout layout;

  // Rows of one block, [layer][n_tokens][row bytes]; empty when the checksum is not theirs.
  std::string_view block(std::size_t index) const {
    const std::size_t token_bytes = layout.token_bytes();
    const std::size_t first = file_bytes(index * kBlock, token_bytes) + (ids.size() - index * kBlock) * sizeof(TokenId);
    const std::size_t n_rows = std::min(kBlock, ids.size() - index * kBlock), n_bytes = n_rows * token_bytes;
    const std::string_view rows = file->text().substr(first, n_bytes);
    Reader stored(file->text().substr(first + n_bytes, kChecksumBytes));
    Fingerprint sum;
    for (std::size_t layer = 0; layer < layout.n_layers; ++layer)
      sum.add(rows.data() + layer * n_rows * layout.row_bytes(), n_rows * layout.row_bytes());
    return stored.number<std::uint64_t>() == sum.value() ? rows : std::string_view();
  }
};

// A file that is being written.
struct PromptCache::Writing {
  std::uint64_t key = 0, prompt = 0;
  std::vector<TokenId> ids;
  fs::path path;
  std::vector<fs::path> prefixes;    // of the prompt, to go when it is there
  std::unique_ptr<OutputFile> file;  // null: not begun
  std::string buffer;
  std::size_t n_written = 0;         // tokens of whole blocks
  std::size_t layer = 0;             // the next one of the block that follows
  Fingerprint sum;                   // of the layers before it
};

PromptCache::~PromptCache() = default;

PromptCache::PromptCache(const PromptCacheParams& params, const Log* log) : params_(params), log_(log) {
  if (params_.max_bytes == 0) params_.max_bytes = kDefaultBytes;
  if (params_.min_tokens == 0) params_.min_tokens = kDefaultMinTokens;
}

void PromptCache::warn(const Status& status) const {
  log_->write(LogLevel::warning, formatted("prompt cache: {}", status.message()));
}

std::vector<PromptCache::Entry> PromptCache::entries(std::uint64_t key, const KvLayout& layout) const {
  std::vector<Entry> found;
  const std::size_t token_bytes = layout.token_bytes();
  const std::string prefix = formatted("{:016x}-", key);
  for (const std::string& name : names_in_folder(params_.folder)) {
    if (!name.starts_with(prefix) || !name.ends_with(kSuffix)) continue;
    Entry entry{params_.folder / name, nullptr, {}, layout};
    auto file = MappedFile::open(entry.path);
    if (!file.ok()) continue;
    entry.file = std::move(*file);
    const std::string_view text = entry.file->text();
    Reader r(text);
    if (r.raw(kMagic.size()) != kMagic || r.number<std::uint32_t>() != kVersion || r.number<std::uint32_t>() != 0 ||
        r.number<std::uint64_t>() != key || r.number<std::uint64_t>() != token_bytes)
      continue;
    const std::size_t n_tokens = r.count(sizeof(TokenId) + token_bytes);
    if (!r.ok() || text.size() != file_bytes(n_tokens, token_bytes)) continue;
    entry.ids.resize(n_tokens);
    for (TokenId& id : entry.ids) id = r.number<TokenId>();
    const std::string_view head = text.substr(0, kHeaderBytes + n_tokens * sizeof(TokenId));
    if (r.number<std::uint64_t>() != checksum(head)) continue;
    found.push_back(std::move(entry));
  }
  return found;
}

PromptCache::Found PromptCache::look(const std::vector<Entry>& stored, std::span<const TokenId> ids) {
  Found found{prompt_of(ids), false, {}};
  for (const Entry& entry : stored) {
    const std::size_t n = common_prefix(entry.ids, ids);
    if (n == ids.size()) found.whole = true;
    else if (n == entry.ids.size()) found.prefixes.push_back(entry.path);
  }
  return found;
}

void PromptCache::restore(std::uint64_t key, std::span<const TokenId> ids, KvCache& kv) {
  const std::vector<Entry> stored = entries(key, kv.layout());
  found_ = look(stored, ids);
  const Entry* best = nullptr;
  std::size_t most = kv.n_tokens() + kMinGain - 1;
  for (const Entry& entry : stored) {
    const std::size_t n = std::min(common_prefix(entry.ids, ids), ids.size() - 1);
    if (n > most) best = &entry, most = n;
  }
  if (!best) return;
  touch(best->path);
  const std::size_t row_bytes = kv.layout().row_bytes();
  while (kv.n_tokens() < most) {
    const std::size_t index = kv.n_tokens() / kBlock, first = kv.n_tokens() % kBlock;
    const std::size_t n_rows = std::min(kBlock, best->ids.size() - index * kBlock);
    const std::size_t count = std::min(n_rows, most - index * kBlock) - first;
    const std::string_view rows = best->block(index);
    if (rows.empty()) {
      warn(Status(Code::bad_file, formatted("{}: its content is damaged, it is removed", best->file->name())));
      found_ = {};
      return drop_file(best->path);
    }
    if (!kv.prepare(count).ok()) return;
    for (std::size_t layer = 0; layer < kv.layout().n_layers; ++layer)
      if (!kv.write_rows(layer, kv.n_tokens(), count, rows.data() + (layer * n_rows + first) * row_bytes).ok()) return;
    kv.commit(count);
  }
}

// Removes the least recently used files until there is room for n_bytes more.
void PromptCache::make_room(std::uint64_t n_bytes) const {
  struct Use {
    fs::file_time_type time;
    std::uint64_t n_bytes;
    fs::path path;
  };
  std::vector<Use> uses;
  std::uint64_t total = n_bytes;
  for (const std::string& name : names_in_folder(params_.folder)) {
    const bool temporary = name.ends_with(".tmp") && name.find(kSuffix) != name.npos;
    if (!temporary && !name.ends_with(kSuffix)) continue;
    const fs::path path = params_.folder / name;
    std::error_code error;
    const Use use{fs::last_write_time(path, error), fs::file_size(path, error), path};
    if (error) continue;  // gone meanwhile
    if (temporary && fs::file_time_type::clock::now() - use.time > kTemporaryAge) drop_file(path);
    if (temporary) continue;
    total += use.n_bytes;
    uses.push_back(use);
  }
  std::sort(uses.begin(), uses.end(), [](const Use& a, const Use& b) { return a.time < b.time; });
  for (const Use& use : uses) {
    if (total <= params_.max_bytes) break;
    drop_file(use.path);
    total -= use.n_bytes;
  }
}

void PromptCache::store(std::uint64_t key, std::span<const TokenId> ids, std::size_t n_computed, const KvCache& kv) {
  if (n_computed < params_.min_tokens || kv.n_tokens() != ids.size()) return;
  const std::size_t n_bytes = file_bytes(ids.size(), kv.layout().token_bytes());
  if (n_bytes > params_.max_bytes)
    return log_->write(LogLevel::debug, formatted("prompt cache: {} tokens are {} bytes, the limit is {}", ids.size(), n_bytes,
                                                    params_.max_bytes));
  // What restore() has seen, not long ago, need not be read again.
  const std::uint64_t prompt = prompt_of(ids);
  if (found_.prompt != prompt) found_ = look(entries(key, kv.layout()), ids);
  const fs::path path = params_.folder / formatted("{:016x}-{:016x}{}", key, prompt, kSuffix);
  if (found_.whole) return touch(path);
  writing_ = std::make_unique<Writing>();
  writing_->key = key;
  writing_->prompt = prompt;
  writing_->ids.assign(ids.begin(), ids.end());
  writing_->path = path;
  writing_->prefixes = std::move(found_.prefixes);
  found_ = {};
}

void PromptCache::keep(std::size_t n_tokens) {
  if (writing_ && n_tokens < writing_->ids.size()) writing_.reset();
}

void PromptCache::write_part(const KvCache& kv) {
  if (!writing_) return;
  bool done = false;
  const Status status = write(kv, done);
  if (!status.ok()) warn(status);
  if (done || !status.ok()) writing_.reset();
}

// The head first, then layers of blocks, then its name.
Status PromptCache::write(const KvCache& kv, bool& done) {
  Writing& at = *writing_;
  const auto put = [&] { return at.file->write(std::as_bytes(std::span(at.buffer))); };
  const KvLayout& layout = kv.layout();
  at.buffer.clear();
  Writer w(at.buffer);
  if (!at.file) {
    std::error_code ignored;
    fs::create_directories(params_.folder, ignored);
    make_room(file_bytes(at.ids.size(), layout.token_bytes()));
    PONDER_ASSIGN(at.file, create_file(at.path, false));
    w.raw(kMagic.data(), kMagic.size());
    w.number(kVersion), w.number<std::uint32_t>(0), w.number(at.key), w.number<std::uint64_t>(layout.token_bytes());
    w.number<std::uint64_t>(at.ids.size());
    for (TokenId id : at.ids) w.number(id);
    w.number(checksum(at.buffer));
    return put();
  }
  while (at.n_written < at.ids.size() && at.buffer.size() < kPartBytes) {
    const std::size_t n_rows = std::min(kBlock, at.ids.size() - at.n_written), n_bytes = n_rows * layout.row_bytes();
    const std::size_t before = at.buffer.size();
    at.buffer.resize(before + n_bytes);
    PONDER_TRY(kv.read_rows(at.layer, at.n_written, n_rows, at.buffer.data() + before));
    at.sum.add(at.buffer.data() + before, n_bytes);
    if (++at.layer < layout.n_layers) continue;
    w.number(at.sum.value());
    at.sum = {};
    at.layer = 0;
    at.n_written += n_rows;
  }
  if (!at.buffer.empty()) return put();
  done = true;
  PONDER_TRY(at.file->commit());
  for (const fs::path& path : at.prefixes) drop_file(path);
  return {};
}

}  // namespace ponder::core
