#include "lib/text/tokenizer_json.h"

#include <algorithm>

#include "lib/base/format.h"

namespace ponder::core {

namespace {

// What an entry takes while it is read: in lists, which are there twice while they grow, of which one is half empty, and in
// tables that are at most half full.
constexpr std::size_t kVocabCost = Bpe::kTokenCost, kMergeCost = 3 * 2 * sizeof(std::uint32_t) + Bpe::kMergeCost;

class Reader final : public JsonEvents {
 public:
  explicit Reader(MemoryCharge* memory) : memory_(memory), tree_(memory) {}

  bool null() override { return in_tree() ? tree_.null() : wrong("null"); }
  bool boolean(bool value) override { return in_tree() ? tree_.boolean(value) : wrong("a boolean"); }
  bool number(double value) override {
    if (in_tree()) return tree_.number(value);
    return place_ == Place::vocab ? refuse_id(formatted("{}", value)) : wrong("a number");
  }
  bool integer(std::int64_t value) override {
    if (in_tree()) return tree_.integer(value);
    if (place_ != Place::vocab) return wrong("a number");
    if (value < 0 || value > Bpe::kLargestId) return refuse_id(formatted("{}", value));
    const auto n_ids = static_cast<std::size_t>(value) + 1;  // ids may leave out others
    if (!count(3 * token_.size() + kVocabCost + (n_ids > n_ids_ ? (n_ids - n_ids_) * Bpe::kIdCost : 0))) return false;
    n_ids_ = std::max(n_ids_, n_ids);
    return pass(bpe_.add_token(token_, static_cast<TokenId>(value)));
  }
  bool string(std::string& value) override {
    if (in_tree()) return tree_.string(value);
    if (place_ == Place::merges) {
      if (value.starts_with("#version")) return true;  // the first line of merges.txt
      const std::size_t blank = value.find(' ');
      if (blank == value.npos || value.find(' ', blank + 1) != value.npos)
        return pass(fail(Code::bad_file, "tokenizer.json: merge '{}', want two tokens", value));
      return note_merge(std::string_view(value).substr(0, blank), std::string_view(value).substr(blank + 1));
    }
    if (place_ == Place::pair) {
      if (n_of_pair_++ == 0) token_ = value;
      return n_of_pair_ != 2 || note_merge(token_, value);
    }
    return wrong("a string");
  }
  bool key(std::string& name) override {
    if (place_ == Place::vocab) {
      token_.swap(name);
      return true;
    }
    if (depth_ == 1) in_model_ = name == "model";
    if (depth_ == 2) key_ = name;
    return tree_.key(name);
  }
  bool start_object() override {
    if (!in_tree()) return wrong("an object");
    ++depth_;
    if (depth_ == 3 && in_model_ && key_ == "vocab") return open(Place::vocab, has_vocab);
    return tree_.start_object();
  }
  bool end_object() override {
    --depth_;
    if (place_ == Place::vocab) return close();
    return tree_.end_object();
  }
  bool start_array() override {
    if (place_ == Place::merges) {
      ++depth_;
      place_ = Place::pair;
      n_of_pair_ = 0;
      return true;
    }
    if (!in_tree()) return wrong("an array");
    ++depth_;
    if (depth_ == 3 && in_model_ && key_ == "merges") return open(Place::merges, has_merges);
    return tree_.start_array();
  }
  bool end_array() override {
    --depth_;
    if (place_ == Place::pair) {
      place_ = Place::merges;
      if (n_of_pair_ != 2)
        return pass(fail(Code::bad_file, "tokenizer.json: a merge of {} tokens, want two", n_of_pair_));
      return true;
    }
    if (place_ == Place::merges) return close();
    return tree_.end_array();
  }
  std::string error() const override { return status_.message(); }
  Status stopped() const override { return stopped_.ok() ? tree_.stopped() : stopped_; }

  const Status& status() const { return status_; }
  Json take_root() { return tree_.take(); }
  const Bpe& bpe() const { return bpe_; }
  Bpe take_bpe() { return std::move(bpe_); }
  // Merges may come before the vocabulary that they name.
  Status add_merges() {
    bpe_.reserve_merges(merges_.size());
    std::string_view rest = merge_texts_;
    for (const auto& [left, right] : merges_) {
      PONDER_TRY(bpe_.add_merge(rest.substr(0, left), rest.substr(left, right)));
      rest.remove_prefix(left + right);
    }
    return {};
  }

  bool has_vocab = false, has_merges = false;

 private:
  enum class Place { tree, vocab, merges, pair };
  bool in_tree() const { return place_ == Place::tree; }
  bool pass(Status status) {
    if (status.ok()) return true;
    status_ = std::move(status);
    return false;
  }
  bool wrong(std::string_view what) {
    if (place_ == Place::vocab)
      return pass(fail(Code::bad_file, "tokenizer.json: token '{}' has {} for an id, want a number", token_, what));
    return pass(fail(Code::bad_file, "tokenizer.json: {} among model.merges, want two tokens", what));
  }
  bool refuse_id(std::string_view id) {
    return pass(fail(Code::bad_file, "tokenizer.json: token '{}' has id {}, want 0 to {}", token_, id, Bpe::kLargestId));
  }
  bool open(Place place, bool& seen) {
    if (seen) return pass(fail(Code::bad_file, "tokenizer.json: model.{} is there twice", key_));
    seen = true;
    place_ = place;
    return true;
  }
  bool close() {
    place_ = Place::tree;
    return tree_.null();
  }
  bool count(std::size_t n_bytes) {
    if (memory_) stopped_ = memory_->add(n_bytes);
    return stopped_.ok();
  }
  bool note_merge(std::string_view left, std::string_view right) {
    if (!count(3 * (left.size() + right.size()) + kMergeCost)) return false;
    merge_texts_ += left;
    merge_texts_ += right;
    merges_.emplace_back(left.size(), right.size());
    return true;
  }

  MemoryCharge* memory_;
  Status stopped_;
  std::size_t n_ids_ = 0;
  JsonBuilder tree_;
  Bpe bpe_;
  std::string merge_texts_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> merges_;  // bytes of left and right
  Status status_;
  Place place_ = Place::tree;
  std::size_t depth_ = 0;
  bool in_model_ = false;
  std::string key_;    // of model
  std::string token_;  // the key whose id comes next, or the left part of a merge
  int n_of_pair_ = 0;
};

// Options that change what comes out of a merge.
Status check_model(const Json& model, const Reader& reader) {
  const Json* type = model.find("type");
  if (type && (!type->is_string() || type->as_string() != "BPE"))
    return fail(Code::unsupported, "tokenizer.json: model.type is {}, want BPE", dump_json(*type));
  const Json* vocab = model.find("vocab");
  const Json* merges = model.find("merges");
  if (!reader.has_vocab)
    return fail(Code::bad_file, "tokenizer.json: model.vocab is {}, want an object", vocab ? vocab->type_name() : "missing");
  if (!reader.has_merges)
    return fail(Code::bad_file, "tokenizer.json: model.merges is {}, want an array", merges ? merges->type_name() : "missing");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (const Json* value = model.find(key); value && !value->is_null() && !(value->is_string() && value->as_string().empty()))
      return fail(Code::unsupported, "tokenizer.json: model.{} is {}", key, dump_json(*value));
  if (const Json* dropout = model.find("dropout"); dropout && !dropout->is_null() &&
                                                   !(dropout->is_number() && dropout->as_double() == 0))
    return fail(Code::unsupported, "tokenizer.json: model.dropout is {}", dump_json(*dropout));
  // What stands for characters without a token matters only when there are such.
  const int missing = reader.bpe().missing_byte();
  const Json *unknown = model.find("unk_token"), *fallback = model.find("byte_fallback");
  if (missing >= 0 && unknown && !unknown->is_null())
    return fail(Code::unsupported, "tokenizer.json: model.unk_token is {}, and byte 0x{:02x} has no token", dump_json(*unknown),
                missing);
  if (missing >= 0 && fallback && fallback->is_bool() && fallback->as_bool())
    return fail(Code::unsupported, "tokenizer.json: model.byte_fallback, and byte 0x{:02x} has no token", missing);
  return {};
}

}  // namespace

Result<TokenizerJson> read_tokenizer_json(std::string_view text, MemoryCharge* memory) {
  Reader reader(memory);
  Status parsed = parse_json_events(text, "tokenizer.json", reader);
  if (!reader.status().ok()) return Status(reader.status());
  PONDER_TRY(std::move(parsed));
  TokenizerJson result;
  result.root = reader.take_root();
  const Json* model = result.root.find("model");
  if (!model || !model->is_object())
    return fail(Code::bad_file, "tokenizer.json: model is {}, want an object", model ? model->type_name() : "missing");
  PONDER_TRY(check_model(*model, reader));
  PONDER_TRY(reader.add_merges());
  result.bpe = reader.take_bpe();
  if (const Json* ignore = model->find("ignore_merges"); ignore && ignore->is_bool())
    result.bpe.set_ignore_merges(ignore->as_bool());
  return result;
}

}  // namespace ponder::core
