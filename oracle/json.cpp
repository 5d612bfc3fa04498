#include "oracle/json.hpp"

#include "oracle/presets.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace kv::oracle {

namespace {

// Deeper than any file of ours, and far from what a destructor or a reader could mind.
constexpr std::size_t deepestNesting = 16;

// Builds the value from the parser's events; it sees doubled keys, which a parsed value has lost.
class Builder final : public nlohmann::json_sax<Json> {
   public:
    Builder(std::string_view text, Place const& place) : text_(text), place_(place) {}

    JsonObject take() { return {std::move(root_), std::move(firstKey_)}; }

    bool null() override { return add(nullptr); }
    bool boolean(bool value) override { return add(value); }
    // The parser calls this for a leading minus only, so an integer 0 was written -0; as a float it
    // keeps its sign.
    bool number_integer(number_integer_t value) override {
        return value == 0 ? add(std::copysign(number_float_t{0}, number_float_t{-1})) : add(value);
    }
    bool number_unsigned(number_unsigned_t value) override { return add(value); }
    bool number_float(number_float_t value, string_t const&) override { return add(value); }
    bool string(string_t& value) override { return add(std::move(value)); }
    bool binary(binary_t&) override { return false; }

    bool start_object(std::size_t) override { return open(Json::object()); }
    bool start_array(std::size_t) override { return open(Json::array()); }
    bool end_object() override { return close(); }
    bool end_array() override { return close(); }

    bool key(string_t& key) override {
        if (!lastKey_)
            firstKey_ = key;
        lastKey_ = key;
        auto& object = open_.back()->get_ref<Json::object_t&>();
        auto const [entry, isNew] = object.try_emplace(key, nullptr);
        if (!isNew)
            throw BadInput(place_, fmt::format("the key {} stands twice in one object; expected "
                                               "each key once",
                                               quote(key)));
        slot_ = &entry->second;
        return true;
    }

    bool parse_error(std::size_t position, std::string const& token,
                     nlohmann::detail::exception const& error) override {
        std::string const after =
            lastKey_ ? fmt::format(" after the key {}", quote(*lastKey_)) : std::string();
        if (position > text_.size())
            throw BadInput(place_, fmt::format("the JSON object ends too early{}; expected it "
                                               "complete on one line",
                                               after));
        if (error.id == numberOverflow)
            throw BadInput(place_, fmt::format("the number {} is too large{}; expected a finite "
                                               "number",
                                               quote(token), after));
        std::size_t const start = text_.substr(0, position).find_last_of(":,[ \t") + 1;
        for (std::string_view word :
             {"NaN", "nan", "Infinity", "inf", "-NaN", "-nan", "-Infinity", "-inf"})
            if (text_.substr(start).starts_with(word) && position <= start + word.size())
                throw BadInput(place_, fmt::format("{} is no JSON number{}; expected a finite "
                                                   "number",
                                                   word, after));
        throw BadInput(place_, fmt::format("the JSON breaks at byte {}{}; expected one JSON object "
                                           "in UTF-8",
                                           position, after));
    }

   private:
    static constexpr int numberOverflow = 406;  // nlohmann: out_of_range.406

    template <class Value>
    bool add(Value&& value) {
        place(Json(std::forward<Value>(value)));
        return true;
    }
    bool open(Json container) {
        if (open_.size() == deepestNesting)
            throw BadInput(place_, fmt::format("the JSON is nested deeper than {} levels; expected "
                                               "at most that many",
                                               deepestNesting));
        open_.push_back(place(std::move(container)));
        return true;
    }
    bool close() {
        open_.pop_back();
        return true;
    }
    // An array grows only while none of its elements is open, so the pointers in open_ stay valid.
    Json* place(Json value) {
        if (open_.empty())
            return &(root_ = std::move(value));
        if (open_.back()->is_array()) {
            auto& array = open_.back()->get_ref<Json::array_t&>();
            array.push_back(std::move(value));
            return &array.back();
        }
        return &(*slot_ = std::move(value));
    }

    std::string_view text_;
    Place const& place_;
    Json root_;
    std::string firstKey_;
    std::optional<std::string> lastKey_;
    std::vector<Json*> open_;
    Json* slot_ = nullptr;
};

std::string described(Json const& value) {
    if (value.is_string())
        return quote(value.get_ref<std::string const&>());
    if (value.is_array())
        return "an array";
    if (value.is_object())
        return "an object";
    return value.dump();
}

}  // namespace

JsonObject parseObject(std::string_view text, Place const& place) {
    // The first byte excludes a byte order mark, which the parser would skip. A zero byte would end
    // the input for the parser and hide what follows.
    if (!text.starts_with('{'))
        throw BadInput(place, "the JSON does not start with {; expected one JSON object");
    if (auto const zero = text.find('\0'); zero != text.npos)
        throw BadInput(place,
                       fmt::format("byte {} is zero; expected one JSON object in UTF-8", zero + 1));
    Builder builder(text, place);
    Json::sax_parse(text.data(), text.data() + text.size(), &builder);
    return builder.take();
}

std::string Node::path() const {
    if (parent_ == nullptr)
        return "";
    std::string const before = parent_->path();
    if (index_ != noIndex)
        return fmt::format("{}[{}]", before, index_);
    std::string const key = shortened(key_);
    return before.empty() ? key : fmt::format("{}.{}", before, key);
}

Node Node::at(std::string_view key) const {
    if (auto const found = find(key))
        return *found;
    refuse(fmt::format("lacks the key {}; expected it", quote(key)));
}

std::optional<Node> Node::find(std::string_view key) const {
    if (!value_->is_object())
        refuseValue("an object");
    auto const entry = value_->find(std::string(key));
    if (entry == value_->end())
        return std::nullopt;
    return Node(*entry, *this, entry.key(), noIndex);
}

Node Node::at(std::size_t index) const { return Node((*value_)[index], *this, {}, index); }

void Node::allowOnly(std::vector<std::string_view> const& keys) const {
    if (!value_->is_object())
        refuseValue("an object");
    for (auto const& entry : value_->items())
        if (std::find(keys.begin(), keys.end(), entry.key()) == keys.end())
            refuse(fmt::format("has the unknown key {}; expected {}", quote(entry.key()),
                               oneOf(keys)));
}

std::size_t Node::length() const {
    if (!value_->is_array())
        refuseValue("an array");
    return value_->size();
}

void Node::refuse(std::string_view complaint) const {
    std::string const where = path();
    throw BadInput(*place_, fmt::format("{} {}", where.empty() ? "the line" : where, complaint));
}

void Node::refuseValue(std::string_view expected) const {
    refuse(fmt::format("is {}; expected {}", described(*value_), expected));
}

std::int64_t readSigned(Node const& node, std::int64_t smallest, std::int64_t largest) {
    Json const& value = node.value();
    bool const fits =
        value.is_number_integer() &&
        (value.is_number_unsigned()
             ? value.get<std::uint64_t>() <=
                   static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())
             : true);
    if (fits) {
        auto const number = value.get<std::int64_t>();
        if (number >= smallest && number <= largest)
            return number;
    }
    node.refuseValue(fmt::format("an integer from {} to {}", smallest, largest));
}

std::uint64_t readUnsigned(Node const& node, std::uint64_t largest) {
    Json const& value = node.value();
    if (value.is_number_unsigned() && value.get<std::uint64_t>() <= largest)
        return value.get<std::uint64_t>();
    node.refuseValue(fmt::format("an integer from 0 to {}", largest));
}

double readDouble(Node const& node) {
    if (!node.value().is_number())
        node.refuseValue("a number");
    return node.value().get<double>();
}

bool readBool(Node const& node) {
    if (!node.value().is_boolean())
        node.refuseValue("true or false");
    return node.value().get<bool>();
}

float readFloat(Node const& node) {
    double const number = readDouble(node);
    if (std::fabs(number) > std::numeric_limits<float>::max())
        node.refuseValue("a number within the range of f32");
    return static_cast<float>(number);
}

std::string readString(Node const& node) {
    if (!node.value().is_string())
        node.refuseValue("a string");
    return node.value().get<std::string>();
}

std::string dump(OrderedJson const& value) {
    try {
        return value.dump();
    } catch (OrderedJson::type_error const&) {
        throw std::invalid_argument("a string is not UTF-8; expected UTF-8, as JSON demands");
    }
}

namespace detail {

Numerics readPreset(Node const& node) {
    auto const name = readString(node);
    if (auto const* preset = presetOf(name))
        return preset->numerics;
    node.refuseValue(fmt::format("a record, or {}", oneOf(presetNames())));
}

void refuseEnumerator(int value) {
    throw std::invalid_argument(
        fmt::format("{} is no enumerator; expected a value that has a name", value));
}

OrderedJson writeNumber(double value) {
    if (!std::isfinite(value))
        throw std::invalid_argument(
            fmt::format("{} has no JSON spelling; expected a finite number", value));
    return value;
}

}  // namespace detail

}  // namespace kv::oracle
