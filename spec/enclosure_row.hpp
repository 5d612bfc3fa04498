// enclosure_row: keep a row of exact numbers as plain numbers.
//
// What an engine is handed, and what it reads back, is exact: an enclosure of such a number is its
// center and nothing else. A row of a cache holds thousands of them, all of one arithmetic. So a
// row whose length is a number keeps its centers side by side, and the other parts of an enclosure
// only where one of its elements has some:
//
//     numbers()     the centers of a row in which nothing is open; otherwise none
//     row[i]        the enclosure, as in every other sequence
//
// Nothing is different but the speed: reductions walk an array of doubles (dot_product.hpp,
// softmax_columns.hpp).
//
// Not said here: what an enclosure is (interval.hpp).
#pragma once
#include "interval.hpp"

#include <span>

namespace kv {

template <>
class Seq<Enclosure, Dyn> {
   public:
    /// An element that may be replaced as a whole.
    class Element : public Enclosure {
       public:
        Element(Seq& row, std::size_t index)
            : Enclosure(std::as_const(row)[index]), row_(row), index_(index) {}
        Element& operator=(Enclosure const& e) {
            row_.set(index_, e);
            return *this;
        }

       private:
        Seq& row_;
        std::size_t index_;
    };

    Dyn size() const { return centers_.size(); }
    Enclosure operator[](std::integral auto i) const {
        auto const at = static_cast<std::size_t>(i);
        if (!open_.empty()) return open_.at(at);
        return {.center = centers_.at(at), .numerics = numerics_};
    }
    Element operator[](std::integral auto i) { return {*this, static_cast<std::size_t>(i)}; }
    friend bool operator==(Seq const& a, Seq const& b) {
        if (a.size() != b.size()) return false;
        for (std::size_t i = 0; i < a.size(); ++i)
            if (!(a[i] == b[i])) return false;
        return true;
    }
    static Seq ofSize(Dyn n) {
        Seq s;
        s.centers_.resize(n);
        return s;
    }

    bool isExact() const { return open_.empty(); }
    /// Of a row that is exact.
    std::span<double const> numbers() const { return centers_; }
    Numerics const& numerics() const { return *numerics_; }

   private:
    void set(std::size_t i, Enclosure const& e) {
        if (open_.empty() && !fits(e)) {
            for (double const center : centers_)
                open_.push_back({.center = center, .numerics = numerics_});
        }
        centers_.at(i) = e.center;
        if (!open_.empty()) open_[i] = e;
    }
    /// Whether e is a number, and of this row's arithmetic. A row of zeros that has none but the
    /// default one takes that of e.
    bool fits(Enclosure const& e) {
        if (!(e == Enclosure{.center = e.center, .numerics = e.numerics})) return false;
        if (e.numerics == numerics_) return true;
        if (numerics_ != &numericsF32) return false;
        for (double const center : centers_)
            if (center != 0) return false;
        numerics_ = e.numerics;
        return true;
    }

    std::vector<double> centers_;
    std::vector<Enclosure> open_;  // all elements, if one is more than a number
    Numerics const* numerics_ = &numericsF32;
};

}  // namespace kv
