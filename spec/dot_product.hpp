// dot_product: bound a score that was added up in an order of the engine's own.
//
// With c = scoreRoundings, for a scale that is put on q, on k, on both or on the score, for the
// factor log2(e) and for storing the score (R4, R6: Higham 2002, sections 3.1 and 4.2),
//
//     |computed - <q,k>| <= gamma_{c+1} S + R2(S) + eta sum (2 + |q| + |k|),   S = sum |q_i k_i|
//
// and no error at all where the terms lie on a grid (R5). A query that is rounded to fewer bits
// first (R14) adds what that costs. A product of two exact rows is the common case: its terms are
// walked as plain doubles.
//
// Not said here: a scale so large that a component of q overflows and the score does not.
#pragma once
#include "enclosure_row.hpp"

namespace kv {

/// <a,b> of at least one component; a is the query.
template <class A, class B>
class DotProduct {
   public:
    DotProduct(A const& a, B const& b)
        : a_(a),
          b_(b),
          numerics_(*detail::shared(a[0], b[0])),
          r_(Rounding::ofDots(numerics_)),
          isExact_(numerics_.scoreRoundings == 0) {
        if constexpr (isRow<A> && isRow<B>) {
            if (a.isExact() && b.isExact() && Narrowing(numerics_.query, numerics_).relative == 0) {
                addNumbers();
                return;
            }
        }
        addIntervals();
    }

    Enclosure bound() const {
        double const absolute = terms_.total, flushed = r_.flush * factors_;
        if (isInfinite_ || r_.overflows(absolute)) return {0, HUGE_VAL, 0, &numerics_};
        if (absolute == 0 || isExact_) return {center_, 0, 0, &numerics_};
        double const n = terms_.n, c = numerics_.scoreRoundings;
        double const own = (n + 2) * ownUnit * absolute;
        double const sum = r_.gamma(1 + c) * absolute + error(1 + c);
        // What a query is off may be added up with the terms that meet most additions.
        double const added = sum * narrowed_ / absolute + r_.gamma(n) * narrowed_;
        double const all = own + sum + narrowed_ + added + flushed;
        auto e = detail::around(center_, spread_ + all, &numerics_);
        e.flushed = flushed;
        return e;
    }

   private:
    template <class Row>
    static constexpr bool isRow = std::same_as<Row, Seq<Enclosure, Dyn>>;

    void addIntervals() {
        Narrowing const narrowing(numerics_.query, numerics_);
        Rounding const query(numerics_.query, numerics_);
        Grid grid;
        for (std::size_t i = 0; i < a_.size(); ++i) {
            Enclosure const a = a_[i], b = b_[i];
            double const size = a.size() * b.size(), term = a.center * b.center;
            terms_.add(size);
            if (size == 0) continue;
            center_ += term;
            spread_ += size - std::abs(term);
            factors_ += 2 + a.size() + b.size();
            if (narrowing.relative > 0 && !(detail::isPoint(a) && query.holds(a.center))) {
                narrowed_ += size * narrowing.relative + b.size() * narrowing.absolute;
                isInfinite_ = isInfinite_ || query.overflows(a.size());
            }
            isExact_ = isExact_ && detail::isPoint(a) && detail::isPoint(b) &&
                       isOnGrid(grid, a.center, b.center);
        }
        isExact_ = isExact_ && narrowed_ == 0;
    }

    void addNumbers() {
        double const *a = a_.numbers().data(), *b = b_.numbers().data();
        auto const sums = laneSums<4>(a_.size(), [&](std::size_t i) {
            double const x = std::abs(a[i]), y = std::abs(b[i]), size = x * y;
            bool const counts = size > 0;
            return std::array{a[i] * b[i], size, counts ? 1.0 : 0.0, counts ? 2 + x + y : 0.0};
        });
        center_ = sums[0];
        terms_ = {.n = double(a_.size()), .count = sums[2], .total = sums[1]};
        factors_ = sums[3];
        if (isExact_) isExact_ = areOnGrid(a, b);
    }

    bool areOnGrid(double const* a, double const* b) const {
        Rounding const ofA(a_.numerics()), ofB(b_.numerics());
        Grid grid;
        for (std::size_t i = 0; i < a_.size(); ++i)
            if (a[i] * b[i] != 0 &&
                !(ofA.holds(a[i]) && ofB.holds(b[i]) && isOnGrid(grid, a[i], b[i])))
                return false;
        return true;
    }

    /// R5, with this term and all before; once it does not hold, no later term mends it.
    bool isOnGrid(Grid& grid, double a, double b) const {
        double const term = a * b;
        grid.add(term);
        return std::fma(a, b, -term) == 0 && grid.isExact(r_);
    }

    /// R2, R3.
    double error(double before) const {
        if constexpr (isRow<A> && isRow<B>) {
            if (a_.isExact() && b_.isExact()) {
                double const *a = a_.numbers().data(), *b = b_.numbers().data();
                return sumError(
                    r_, terms_, a_.size(), [=](std::size_t i) { return std::abs(a[i] * b[i]); },
                    before);
            }
        }
        return sumError(
            r_, terms_, a_.size(),
            [&](std::size_t i) { return a_[i].size() * b_[i].size(); }, before);
    }

    A const& a_;
    B const& b_;
    Numerics const& numerics_;
    Rounding r_;
    Terms terms_{};
    double center_ = 0, spread_ = 0, factors_ = 0, narrowed_ = 0;
    bool isExact_, isInfinite_ = false;
};

}  // namespace kv
