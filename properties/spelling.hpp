// spelling: write enumerators as they stand in traces and verdicts.
//
// A verb has one name, in files, in verdicts and on the command line.
#pragma once
#include "spec/storage.hpp"
#include "trace.hpp"

#include <array>
#include <stdexcept>
#include <string_view>

namespace kv::properties {

template <class Enum>
struct Spelling {
    Enum value;
    std::string_view name;
};

/// Every enumerator of an enumeration that stands in files. `everySpelling<Verb>` and so on.
template <class Enum>
inline constexpr std::array<Spelling<Enum>, 0> everySpelling{};
template <>
inline constexpr std::array<Spelling<Verb>, 16> everySpelling<Verb>{{{Verb::append, "append"},
                                                                     {Verb::prefill, "prefill"},
                                                                     {Verb::step, "step"},
                                                                     {Verb::attend, "attend"},
                                                                     {Verb::observe, "observe"},
                                                                     {Verb::rollback, "rollback"},
                                                                     {Verb::fork, "fork"},
                                                                     {Verb::evict, "evict"},
                                                                     {Verb::remove, "remove"},
                                                                     {Verb::shift, "shift"},
                                                                     {Verb::reorder, "reorder"},
                                                                     {Verb::save, "save"},
                                                                     {Verb::restore, "restore"},
                                                                     {Verb::release, "release"},
                                                                     {Verb::keep, "keep"},
                                                                     {Verb::reset, "reset"}}};
static_assert(everySpelling<Verb>.size() == std::size(everyVerb));
template <>
inline constexpr std::array<Spelling<KeyStorage>, 2> everySpelling<KeyStorage>{
    {{KeyStorage::rotated, "rotated"}, {KeyStorage::raw, "raw"}}};
template <>
inline constexpr std::array<Spelling<RotaryLayout>, 3> everySpelling<RotaryLayout>{
    {{RotaryLayout::none, "none"},
     {RotaryLayout::halfSplit, "halfSplit"},
     {RotaryLayout::interleaved, "interleaved"}}};
/// Codecs are spelled by their own names.
template <>
inline constexpr auto everySpelling<StoredAs> = [] {
    std::array<Spelling<StoredAs>, std::size(everyCodec)> all{};
    for (std::size_t i = 0; i < all.size(); ++i)
        all[i] = {static_cast<StoredAs>(i), everyCodec[i]->name};
    return all;
}();
template <>
inline constexpr std::array<Spelling<CodecRow>, 2> everySpelling<CodecRow>{
    {{CodecRow::head, "head"}, {CodecRow::token, "token"}}};
template <>
inline constexpr std::array<Spelling<ReadAs>, 3> everySpelling<ReadAs>{
    {{ReadAs::f32, "f32"}, {ReadAs::f16, "f16"}, {ReadAs::bf16, "bf16"}}};
template <>
inline constexpr std::array<Spelling<RotationRounding>, 2> everySpelling<RotationRounding>{
    {{RotationRounding::asWritten, "asWritten"}, {RotationRounding::contracted, "contracted"}}};
template <>
inline constexpr std::array<Spelling<Addressing>, 2> everySpelling<Addressing>{
    {{Addressing::byPosition, "byPosition"}, {Addressing::byValue, "byValue"}}};
template <>
inline constexpr std::array<Spelling<MaskedSlots>, 2> everySpelling<MaskedSlots>{
    {{MaskedSlots::readAndMasked, "readAndMasked"}, {MaskedSlots::neverRead, "neverRead"}}};
template <>
inline constexpr std::array<Spelling<EmptyRow>, 3> everySpelling<EmptyRow>{
    {{EmptyRow::refused, "refused"},
     {EmptyRow::zero, "zero"},
     {EmptyRow::notANumber, "notANumber"}}};
template <>
inline constexpr std::array<Spelling<ExponentForm>, 2> everySpelling<ExponentForm>{
    {{ExponentForm::subtracted, "subtracted"}, {ExponentForm::fused, "fused"}}};
template <>
inline constexpr std::array<Spelling<PartMerge>, 2> everySpelling<PartMerge>{
    {{PartMerge::weights, "weights"}, {PartMerge::logSumExp, "logSumExp"}}};
template <>
inline constexpr std::array<Spelling<KeyOrder>, 2> everySpelling<KeyOrder>{
    {{KeyOrder::any, "any"}, {KeyOrder::ascending, "ascending"}}};
template <>
inline constexpr std::array<Spelling<BlockSum>, 2> everySpelling<BlockSum>{
    {{BlockSum::inPlace, "inPlace"}, {BlockSum::apart, "apart"}}};
template <>
inline constexpr std::array<Spelling<WeightSum>, 3> everySpelling<WeightSum>{
    {{WeightSum::any, "any"},
     {WeightSum::rounded, "rounded"},
     {WeightSum::unrounded, "unrounded"}}};
template <>
inline constexpr std::array<Spelling<OperationRounding>, 2> everySpelling<OperationRounding>{
    {{OperationRounding::nearest, "nearest"}, {OperationRounding::towardZero, "towardZero"}}};
template <>
inline constexpr std::array<Spelling<Subnormals>, 2> everySpelling<Subnormals>{
    {{Subnormals::flushed, "flushed"}, {Subnormals::kept, "kept"}}};
/// A precision that has a name is written by it; another one as the record it is.
template <>
inline constexpr std::array<Spelling<Precision>, 4> everySpelling<Precision>{
    {{precisions::f64, "f64"},
     {precisions::f32, "f32"},
     {precisions::f16, "f16"},
     {precisions::bf16, "bf16"}}};
template <>
inline constexpr std::array<Spelling<Family>, 12> everySpelling<Family>{
    {{Family::painted, "painted"},
     {Family::oneHot, "oneHot"},
     {Family::mean, "mean"},
     {Family::wideSum, "wideSum"},
     {Family::groupSelect, "groupSelect"},
     {Family::knifeEdge, "knifeEdge"},
     {Family::equalKeys, "equalKeys"},
     {Family::ladder, "ladder"},
     {Family::balance, "balance"},
     {Family::quantiserStep, "quantiserStep"},
     {Family::sampled, "sampled"},
     {Family::inlined, "inlined"}}};

/// The name of an enumerator. Throws std::invalid_argument for a value that is none.
template <class Enum>
std::string_view nameOf(Enum value) {
    for (auto const& spelling : everySpelling<Enum>)
        if (spelling.value == value) return spelling.name;
    throw std::invalid_argument("a value outside of its enumeration has no name");
}

}  // namespace kv::properties
