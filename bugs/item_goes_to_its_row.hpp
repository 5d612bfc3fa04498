// item_goes_to_its_row: take a row of the batch for the sequence with that number.
//
// While every sequence is in the batch, in order, nobody notices. Then one leaves or two change
// places, and what one of them wrote stands in the other's cache.
//
//     step(items)[i] = prefill(items[i].cache, items[i].tokens)    in whatever order they stand
//
// Breaks step_eq_alone. A relative in the wild: gittensor-ai-lab/sparkinfer #289.
#pragma once
#include "impl/decisions.hpp"

#include <string_view>

namespace kv::bugs {

struct ItemGoesToItsRow : impl::Standard {
    static constexpr std::string_view name = "item_goes_to_its_row";
    static constexpr std::string_view theorem = "step_eq_alone";
    static constexpr std::string_view story = "item i of a batch is stored in sequence i";
    static constexpr std::string_view tracker = "gittensor-ai-lab/sparkinfer #289";

    static constexpr std::size_t sequenceOfItem(impl::ItemPlace i) {
        return i.item;  // wrong: the item names its sequence
    }
};

}  // namespace kv::bugs
