// json: read and write records through their reflection, and name what does not fit.
//
// A record that is defined with BOOST_HANA_DEFINE_STRUCT knows the names of its fields. One
// function reads any such record from JSON and one writes it, so a new field of a declaration is in
// the file format as soon as it is in the record. Reading is strict: a key that is missing, unknown
// or doubled, a number that is negative, fractional or too large for its field is a BadInput that
// names the field by its path, as in declaration.layers[1].kvHeads.
//
// JSON is RFC 8259. NaN and Infinity are no JSON.
#pragma once
#include "oracle/input.hpp"
#include "properties/spelling.hpp"
#include "spec/numerics.hpp"

#include <boost/hana.hpp>
#include <nlohmann/json.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace kv::oracle {

using Json = nlohmann::json;
/// Keeps the order in which keys were added; only for writing.
using OrderedJson = nlohmann::ordered_json;

/// An object and the key that stands first in it.
struct JsonObject {
    Json value;
    std::string firstKey;
};

/// Reads one JSON object that fills the whole text. Throws BadInput at `place` for anything else,
/// for a doubled key at any depth and for deep nesting.
JsonObject parseObject(std::string_view text, Place const& place);

/// A value inside a parsed object and the way to it. It refers to its parent: keep that alive.
class Node {
   public:
    Node(Json const& root, Place const& place) : value_(&root), place_(&place) {}

    Json const& value() const { return *value_; }
    /// The way from the root, as in `values.tokens[0][1].keys`; empty for the root.
    std::string path() const;
    /// The field of this object with that key. Throws BadInput where it is missing.
    Node at(std::string_view key) const;
    /// The same, or nothing where it is missing.
    std::optional<Node> find(std::string_view key) const;
    /// Element `index` of this array, which must have one.
    Node at(std::size_t index) const;
    /// Throws BadInput unless this is an object all of whose keys are among these.
    void allowOnly(std::vector<std::string_view> const& keys) const;
    /// Throws BadInput unless this is an array. Returns its length.
    std::size_t length() const;
    /// Throws BadInput: "PATH COMPLAINT", where the complaint reads "is ...; expected ...".
    [[noreturn]] void refuse(std::string_view complaint) const;
    /// Throws BadInput that quotes the value: "PATH is VALUE; expected EXPECTED".
    [[noreturn]] void refuseValue(std::string_view expected) const;

   private:
    Node(Json const& value, Node const& parent, std::string_view key, std::size_t index)
        : value_(&value), place_(parent.place_), parent_(&parent), key_(key), index_(index) {}

    static constexpr std::size_t noIndex = std::numeric_limits<std::size_t>::max();
    Json const* value_;
    Place const* place_;
    Node const* parent_ = nullptr;
    std::string_view key_;
    std::size_t index_ = noIndex;
};

/// An integer from `smallest` to `largest`.
std::int64_t readSigned(Node const& node, std::int64_t smallest, std::int64_t largest);
/// An integer from 0 to `largest`.
std::uint64_t readUnsigned(Node const& node, std::uint64_t largest);
bool readBool(Node const& node);
/// A finite number; for f32, one of its range, rounded to nearest.
double readDouble(Node const& node);
float readFloat(Node const& node);
std::string readString(Node const& node);

using properties::Spelling;

/// Every enumerator of an enumeration that stands in files: those of the house, which
/// properties/spelling.hpp holds, and those that a header of this room specialises.
template <class Enum>
inline constexpr auto everySpelling = properties::everySpelling<Enum>;

/// The name of an enumerator in files. Throws std::invalid_argument for a value that is none.
template <class Enum>
std::string_view nameOf(Enum value);

/// The keys of a reflected record, in the order of its definition.
template <class Record>
std::vector<std::string_view> keysOf();

/// Reads an enumeration or a precision by name, true or false, a number, a string, a vector or a
/// reflected record. A field of a record that is a std::optional may be missing, and so may any of
/// Promises, or of Numerics, which then takes the value of numericsF32; the name of a preset may
/// stand in the place of the latter. A stored format may be missing, which is f32, as may its
/// fields, and the name of a codec stands for a format that says no more. Every other field must
/// be there.
template <class T>
T read(Node const& node);

/// Writes the same; reading it again gives an equal value, floats bit for bit. An empty optional
/// field is left out, and so is a format that is f32. Throws std::invalid_argument for NaN and
/// infinities, which JSON lacks.
template <class T>
OrderedJson write(T const& value);

/// One line of text. Throws std::invalid_argument where a string is not UTF-8.
std::string dump(OrderedJson const& value);

namespace detail {

template <class T>
inline constexpr bool isVector = false;
template <class T>
inline constexpr bool isVector<std::vector<T>> = true;
template <class T>
inline constexpr bool isOptional = false;
template <class T>
inline constexpr bool isOptional<std::optional<T>> = true;

[[noreturn]] void refuseEnumerator(int value);
/// A preset by its name. Throws BadInput with all names where there is none.
Numerics readPreset(Node const& node);
OrderedJson writeNumber(double value);

template <class Enum>
Enum readEnum(Node const& node) {
    if (node.value().is_string())
        for (auto const& spelling : everySpelling<Enum>)
            if (spelling.name == node.value().get_ref<std::string const&>())
                return spelling.value;
    std::vector<std::string_view> names;
    for (auto const& spelling : everySpelling<Enum>)
        names.push_back(spelling.name);
    node.refuseValue(oneOf(names));
}

/// What a field that is left out means: nothing, it must be there.
template <class Record>
struct Defaults {
    static constexpr bool exist = false;
    static Record of(Node const&) { return {}; }
};
/// What nobody declares is that of numericsF32, and no stage is wider than `compute`.
template <>
struct Defaults<Numerics> {
    static constexpr bool exist = true;
    static Numerics of(Node const& node) {
        auto const compute = node.find("compute");
        return compute ? everywhere(read<Precision>(*compute), numericsF32) : numericsF32;
    }
};

/// Nothing is promised that is not said.
template <>
struct Defaults<Promises> {
    static constexpr bool exist = true;
    static Promises of(Node const&) { return {}; }
};
/// Of a format, what is left out is that of f32.
template <>
struct Defaults<StoredFormat> {
    static constexpr bool exist = true;
    static StoredFormat of(Node const&) { return {}; }
};
/// The Hadamard matrix without a factor; its size has to be said.
template <>
struct Defaults<StoredRotation> {
    static constexpr bool exist = true;
    static StoredRotation of(Node const&) { return {}; }
};
inline StoredFormat formatNamed(StoredAs codec) {
    StoredFormat format{};
    format.codec = codec;
    return format;
}
/// A field whose default goes without saying.
template <class Field>
inline constexpr bool isSilent =
    std::same_as<Field, StoredFormat> || std::same_as<Field, StoredRotation> ||
    std::same_as<Field, EmptyRow>;

template <class Record>
Record readRecord(Node const& node) {
    node.allowOnly(keysOf<Record>());
    Record record = Defaults<Record>::of(node);
    boost::hana::for_each(boost::hana::accessors<Record>(), [&](auto const& accessor) {
        std::string_view const key = boost::hana::first(accessor).c_str();
        auto& field = boost::hana::second(accessor)(record);
        using Field = std::remove_cvref_t<decltype(field)>;
        if constexpr (isOptional<Field>) {
            if (auto const found = node.find(key))
                field = read<typename Field::value_type>(*found);
        } else if constexpr (Defaults<Record>::exist || isSilent<Field>) {
            if (auto const found = node.find(key))
                field = read<Field>(*found);
        } else {
            field = read<Field>(node.at(key));
        }
    });
    return record;
}

template <class Record>
OrderedJson writeRecord(Record const& record) {
    OrderedJson out = OrderedJson::object();
    boost::hana::for_each(boost::hana::accessors<Record>(), [&](auto const& accessor) {
        char const* const key = boost::hana::first(accessor).c_str();
        auto const& field = boost::hana::second(accessor)(record);
        if constexpr (isOptional<std::remove_cvref_t<decltype(field)>>) {
            if (field)
                out[key] = write(*field);
        } else if constexpr (isSilent<std::remove_cvref_t<decltype(field)>>) {
            if (field != std::remove_cvref_t<decltype(field)>{})
                out[key] = write(field);
        } else {
            out[key] = write(field);
        }
    });
    return out;
}

}  // namespace detail

template <class Enum>
std::string_view nameOf(Enum value) {
    for (auto const& spelling : everySpelling<Enum>)
        if (spelling.value == value)
            return spelling.name;
    detail::refuseEnumerator(static_cast<int>(value));
}

template <class Record>
std::vector<std::string_view> keysOf() {
    std::vector<std::string_view> keys;
    boost::hana::for_each(boost::hana::accessors<Record>(), [&](auto const& accessor) {
        keys.push_back(boost::hana::first(accessor).c_str());
    });
    return keys;
}

template <class T>
T read(Node const& node) {
    using Limits = std::numeric_limits<T>;
    if constexpr (std::is_enum_v<T>) {
        return detail::readEnum<T>(node);
    } else if constexpr (std::same_as<T, std::string>) {
        return readString(node);
    } else if constexpr (std::same_as<T, bool>) {
        return readBool(node);
    } else if constexpr (std::same_as<T, float>) {
        return readFloat(node);
    } else if constexpr (std::same_as<T, double>) {
        return readDouble(node);
    } else if constexpr (std::unsigned_integral<T>) {
        return static_cast<T>(readUnsigned(node, Limits::max()));
    } else if constexpr (std::signed_integral<T>) {
        return static_cast<T>(readSigned(node, Limits::min(), Limits::max()));
    } else if constexpr (detail::isVector<T>) {
        std::size_t const length = node.length();
        T out;
        out.reserve(length);
        for (std::size_t i = 0; i < length; ++i)
            out.push_back(read<typename T::value_type>(node.at(i)));
        return out;
    } else {
        if constexpr (std::same_as<T, Precision>)
            if (!node.value().is_object())
                return detail::readEnum<T>(node);
        if constexpr (std::same_as<T, Numerics>)
            if (node.value().is_string())
                return detail::readPreset(node);
        if constexpr (std::same_as<T, StoredFormat>)
            if (node.value().is_string())
                return detail::formatNamed(detail::readEnum<StoredAs>(node));
        return detail::readRecord<T>(node);
    }
}

template <class T>
OrderedJson write(T const& value) {
    if constexpr (std::is_enum_v<T>) {
        return std::string(oracle::nameOf(value));
    } else if constexpr (std::floating_point<T>) {
        return detail::writeNumber(value);
    } else if constexpr (std::integral<T> || std::same_as<T, std::string>) {
        return value;
    } else if constexpr (detail::isVector<T>) {
        OrderedJson out = OrderedJson::array();
        for (auto const& element : value)
            out.push_back(write(element));
        return out;
    } else {
        if constexpr (std::same_as<T, Precision>)
            for (auto const& spelling : everySpelling<Precision>)
                if (spelling.value == value)
                    return std::string(spelling.name);
        if constexpr (std::same_as<T, StoredFormat>)
            if (value == detail::formatNamed(value.codec))
                return write(value.codec);
        return detail::writeRecord(value);
    }
}

}  // namespace kv::oracle
