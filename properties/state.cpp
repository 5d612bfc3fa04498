#include "state.hpp"

#include <algorithm>
#include <limits>

namespace kv::properties {

namespace {

SequenceState emptied(SequenceState const& s) {
    SequenceState none;
    none.lost.resize(s.lost.size());
    return none;
}

void grow(SequenceState& s, std::size_t count, std::vector<LayerDeclaration> const& layers) {
    for (std::size_t i = 0; i < count; ++i) s.positions.push_back(s.next++);
    s.end += count;
    s.peak = std::max(s.peak, s.end);
    for (std::size_t l = 0; l < layers.size(); ++l)
        if (layers[l].retained > 0 && s.length() > layers[l].retained + layers[l].sinks)
            s.lost[l] = std::max(s.lost[l], s.length() - layers[l].retained);
}

void cut(SequenceState& s, std::size_t length) {
    if (length < s.length()) s.next = s.positions[length];
    s.end -= s.length() - length;
    s.positions.resize(length);
    for (auto& lost : s.lost) lost = std::min(lost, length);
}

/// What it held for rows that it has had, it may hold still.
void become(SequenceState& s, SequenceState const& other) {
    std::size_t const peak = std::max(s.peak, other.peak);
    s = other;
    s.peak = peak;
}

/// Drops rows; of those that a ring had lost, as many as there were among them.
void drop(SequenceState& s, Step const& step) {
    auto const from = s.positions.begin() + std::ptrdiff_t(step.first);
    s.positions.erase(from, from + std::ptrdiff_t(step.count));
    for (auto& lost : s.lost)
        lost -= std::min(step.count, lost - std::min(lost, step.first));
}

/// One parent for each sequence, and each is one of them.
bool isMap(std::vector<SequenceId> const& parents, std::size_t sequences) {
    return parents.size() == sequences &&
           std::ranges::all_of(parents, [&](SequenceId p) { return p < sequences; });
}

std::size_t blocksOf(std::size_t rows, Pool const& pool) {
    return rows / pool.blockRows + (rows % pool.blockRows == 0 ? 0 : 1);
}

}  // namespace

State::State(Declaration const& declaration) : declaration_(&declaration) {
    sequences_.resize(declaration.sequences);
    for (auto& s : sequences_) s.lost.resize(declaration.layers.size());
    saved_.resize(declaration.sequences);
}

bool State::offers(Verb verb) const {
    return std::ranges::find(declaration_->verbs, verb) != declaration_->verbs.end();
}

/// The first position that no rotary table covers.
std::size_t State::positions() const {
    std::size_t least = std::numeric_limits<std::size_t>::max() / 2;
    for (auto const& l : declaration_->layers)
        if (l.rotaryLayout != RotaryLayout::none && l.rotaryDim > 0)
            least = std::min(least, l.cosine.size() / (l.rotaryDim / 2));
    return least;
}

/// Whether a sequence alone has room and positions for so many tokens.
bool State::hasRoom(SequenceState const& s, std::size_t count) const {
    return s.length() + count <= declaration_->capacity &&
           (count == 0 || s.next + std::int64_t(count) <= std::int64_t(positions()));
}

/// Each item names one of the sequences, which no other does, and has room there.
bool State::isBatch(std::vector<BatchItem> const& items) const {
    std::vector<bool> named(sequences_.size());
    return std::ranges::all_of(items, [&](BatchItem const& item) {
        if (item.sequence >= sequences_.size() || named[item.sequence]) return false;
        named[item.sequence] = true;
        return hasRoom(sequences_[item.sequence], item.count);
    });
}

/// Whether the newest of `length` rows still sees all that it must: pinned, or in the ring. A
/// window measures positions, so behind a gap it shows fewer rows than it has keys.
bool State::isThere(SequenceState const& s, std::size_t length) const {
    if (length == 0 || length >= s.length()) return true;
    auto const rows = s.positions.begin();
    for (std::size_t l = 0; l < s.lost.size(); ++l) {
        auto const& layer = declaration_->layers[l];
        if (layer.window == 0) continue;
        auto const oldest = s.positions[length - 1] - std::int64_t(layer.window) + 1;
        auto const seen = std::lower_bound(rows, rows + std::ptrdiff_t(length), oldest) - rows;
        std::size_t const inRing = std::max(std::size_t(seen), layer.sinks);
        if (inRing < length && s.lost[l] > inRing) return false;
    }
    return true;
}

/// Whether dropping these rows asks nothing of a layer that it may be unable to do. Where rows
/// become sinks that were in a ring, or where a ring had to move its rows, an engine may refuse;
/// dropping the oldest rows moves none.
bool State::canMove(Step const& step) const {
    return step.count == 0 || std::ranges::none_of(declaration_->layers, [&](auto const& layer) {
        return layer.retained > 0 && (layer.sinks > 0 || step.first > 0);
    });
}

/// No row may leave the tables. An engine may refuse what leaves no room there for the next token.
Permission State::ofShift(SequenceState const& s, std::int64_t delta) const {
    auto const table = static_cast<std::int64_t>(positions());
    if (s.length() == 0) return Permission::mayRefuse;
    if (delta <= -table || delta >= table || s.positions.front() + delta < 0 ||
        s.positions.back() + delta >= table)
        return Permission::mustRefuse;
    return s.next - 1 + delta < table ? Permission::mustAccept : Permission::mayRefuse;
}

/// Whether the pool is large enough for what its sequences hold after this step (promises.hpp). A
/// reorder may hold the old ones until the new ones are there.
bool State::fitsPool(Step const& step) const {
    if (!declaration_->pool) return true;
    bool const stores = step.verb == Verb::append || step.verb == Verb::prefill;
    std::size_t blocks = 0;
    for (SequenceId q = 0; q < sequences_.size(); ++q) {
        SequenceState const& s = sequences_[q];
        std::size_t rows = s.peak;
        if (stores && q == step.sequence) rows = std::max(rows, s.end + step.count);
        for (BatchItem const& item : step.batch)
            if (q == item.sequence) rows = std::max(rows, s.end + item.count);
        if (step.verb == Verb::fork && q == step.to)
            rows = std::max(rows, sequences_[step.sequence].peak);
        if (step.verb == Verb::restore && q == step.to)
            rows = std::max(rows, saved_[step.sequence]->peak);
        if (step.verb == Verb::reorder) {
            blocks += blocksOf(rows, *declaration_->pool);
            rows = std::max(rows, sequences_[step.parents[q]].peak);
        }
        blocks += blocksOf(rows, *declaration_->pool);
    }
    return blocks <= declaration_->pool->blocks;
}

bool State::answersEmptyRow() const {
    return declaration_->promises && declaration_->promises->emptyRow != EmptyRow::refused;
}

Permission State::permission(Step const& step) const {
    Permission const owed = inOwnRoom(step);
    // Whatever moves or cuts rows may copy a block that is shared.
    bool const needsNone = step.verb == Verb::attend || step.verb == Verb::observe ||
                           step.verb == Verb::save || step.verb == Verb::release ||
                           step.verb == Verb::keep || step.verb == Verb::reset;
    if (owed != Permission::mustAccept || needsNone) return owed;
    return fitsPool(step) ? owed : Permission::mayRefuse;
}

/// Only an empty sequence becomes a copy; one that has not begun, whatever engine it is.
Permission State::ofCopyTo(SequenceId to) const {
    if (to >= sequences_.size() || sequences_[to].length() > 0) return Permission::mustRefuse;
    return sequences_[to].next != 0 ? Permission::mayRefuse : Permission::mustAccept;
}

/// What it owes where every sequence has storage of its own.
Permission State::inOwnRoom(Step const& step) const {
    using enum Permission;
    auto const owed = [](bool accept) { return accept ? mustAccept : mustRefuse; };
    if (!offers(step.verb)) return mayRefuse;
    if (step.verb == Verb::reset) return mustAccept;
    if (step.verb == Verb::reorder) return owed(isMap(step.parents, sequences_.size()));
    if (step.verb == Verb::step) return owed(isBatch(step.batch));
    if (step.sequence >= sequences_.size()) return mustRefuse;
    SequenceState const& s = sequences_[step.sequence];
    switch (step.verb) {
        case Verb::append:
        case Verb::prefill: return owed(hasRoom(s, step.count));
        case Verb::attend: return owed(s.length() > 0 || answersEmptyRow());
        case Verb::rollback:
            // A ring may have lost what the newest row left would see; a roomier one has not.
            if (step.length > s.length()) return mustRefuse;
            return isThere(s, step.length) ? mustAccept : mayRefuse;
        case Verb::fork: return step.to == step.sequence ? mustRefuse : ofCopyTo(step.to);
        case Verb::restore: return isSaved(step.sequence) ? ofCopyTo(step.to) : mustRefuse;
        case Verb::evict:
        case Verb::remove:
            if (step.first > s.length() || step.count > s.length() - step.first) return mustRefuse;
            return canMove(step) ? mustAccept : mayRefuse;
        case Verb::shift: return ofShift(s, step.delta);
        case Verb::step:
        case Verb::observe:
        case Verb::save:
        case Verb::release:
        case Verb::keep:
        case Verb::reorder:
        case Verb::reset: break;
    }
    return mustAccept;
}

void State::apply(Step const& step) {
    stored_ += tokensStored(step);
    if (step.verb == Verb::reset) {
        for (auto& s : sequences_) s = emptied(s);
        return;
    }
    if (step.verb == Verb::reorder) {
        auto const old = sequences_;
        for (SequenceId s = 0; s < sequences_.size(); ++s)
            become(sequences_[s], old.at(step.parents.at(s)));
        return;
    }
    if (step.verb == Verb::step) {
        for (auto const& [sequence, count] : step.batch)
            grow(sequences_.at(sequence), count, declaration_->layers);
        return;
    }
    SequenceState& s = sequences_.at(step.sequence);
    switch (step.verb) {
        case Verb::append:
        case Verb::prefill: grow(s, step.count, declaration_->layers); break;
        case Verb::rollback: cut(s, step.length); break;
        case Verb::fork: become(sequences_.at(step.to), s); break;
        case Verb::evict:
        case Verb::remove: drop(s, step); break;
        case Verb::shift:
            s.next += step.delta;
            for (auto& position : s.positions) position += step.delta;
            break;
        case Verb::save:
            saved_[step.sequence] = s;
            break;
        case Verb::restore: become(sequences_.at(step.to), *saved_.at(step.sequence)); break;
        case Verb::release: s = emptied(s); break;
        case Verb::keep:
            for (auto& other : sequences_)
                if (&other != &s) other = emptied(other);
            break;
        default: break;
    }
}

}  // namespace kv::properties
