// block_pool: lend blocks to tables, and know who names them.
//
//     free blocks      a stack; the one that was given back last is lent first
//     references[b]    how many tables name b
//     written[b]       rows stored in b since it was lent
//
// Nothing is allocated after construction. Not said here: what is in a block (storage.hpp), which
// row of whom that is (paged.hpp).
#pragma once
#include "decisions.hpp"

#include <algorithm>
#include <cassert>
#include <concepts>
#include <vector>

namespace kv::impl {

template <std::derived_from<Standard> Decisions>
class BlockPool {
   public:
    explicit BlockPool(std::size_t blocks) : references_(blocks), written_(blocks) {
        free_.reserve(blocks);
        reset();
    }

    std::size_t blocks() const { return references_.size(); }
    std::size_t freeBlocks() const { return free_.size(); }

    /// Lends a block to one table. There is a free one.
    std::size_t take() {
        assert(!free_.empty());
        std::size_t const block = free_.back();
        free_.pop_back();
        references_[block] = 1;
        written_[block] = 0;
        return block;
    }

    /// One more table names it.
    void share(std::size_t block) {
        references_[block] = Decisions::referencesAfterFork(references_[block]);
    }

    /// A table lets go of it.
    void release(std::size_t block) {
        references_[block] = Decisions::referencesAfterRelease(references_[block]);
        if (Decisions::isFree(references_[block]) && free_.size() < blocks())
            free_.push_back(block);
    }

    /// A table goes on with a copy of it.
    void copied(std::size_t block, std::size_t copy) {
        references_[block] = Decisions::referencesAfterCopy(references_[block]);
        written_[copy] = written_[block];
    }

    /// The first `rows` rows of it have been stored.
    void wrote(std::size_t block, std::size_t rows) {
        written_[block] = std::max(written_[block], rows);
    }

    bool isCopied(std::size_t block, std::size_t blockRows) const {
        return Decisions::isCopied({references_[block], written_[block], blockRows});
    }

    /// Nobody names any.
    void reset() {
        free_.clear();
        for (std::size_t block = blocks(); block > 0; --block)
            free_.push_back(block - 1);
        std::ranges::fill(references_, std::size_t{0});
    }

   private:
    std::vector<std::size_t> references_, written_, free_;
};

}  // namespace kv::impl
