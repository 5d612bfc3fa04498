// softmax_columns: add up what bounds a mean, for all components at once.
//
// Values lie in memory row after row, and a bound of each component's mean needs a dozen sums over
// its column. So the sums are kept side by side and the rows are walked twice: once for everything
// that needs no other sum, once for the distances from the mean and for what R2 caps.
//
//     magnitude = sum |v_j|                     sums   = sum share_j |v_j|
//     rounded   = sum growth_j share_j |v_j|    center = sum p_j v_j / sum p_j = o
//     spread    = sum spread_j |v_j - o|        capped = sum min(share_j |v_j|, u sums)
//
// Not said here: what shares and growths are, and what follows (softmax_bound.hpp).
#pragma once
#include "softmax_weights.hpp"

namespace kv {

/// The values of n scores, [n][width]. Exact rows are referred to, and must outlive it.
struct ValueRows {
    std::size_t width;

    ValueRows(std::size_t n, std::size_t w) : width(w), rows_(n) {}
    ValueRows(ValueRows const&) = delete;  // a copy would refer to its original
    ValueRows& operator=(ValueRows const&) = delete;
    /// Row j, of elements that have a center and a radius.
    void set(std::size_t j, auto const& row) {
        if constexpr (requires { row.numbers(); }) {
            if (row.isExact()) {
                rows_[j] = {row.numbers().data(), nullptr};
                return;
            }
        }
        auto& open = open_.emplace_back(2 * width);
        for (std::size_t c = 0; c < width; ++c) {
            open[c] = row[c].center;
            open[width + c] = row[c].radius;
        }
        rows_[j] = {open.data(), open.data() + width};
    }
    struct Row {
        double const *center, *radius;  ///< no radius where each value is exact
        bool isExact(std::size_t c) const { return radius == nullptr || radius[c] == 0; }
    };
    Row const& row(std::size_t j) const { return rows_[j]; }
    Ball at(std::size_t j, std::size_t component) const {
        auto const& row = rows_[j];
        return {row.center[component], row.radius == nullptr ? 0 : row.radius[component]};
    }

   private:
    std::vector<Row> rows_;
    std::vector<std::vector<double>> open_;  // centers, then radii
};

/// One loop for each few sums: compilers then walk neighbors side by side.
class SoftmaxColumns {
   public:
    /// Of the row at index i of weights.rows.
    struct RowFactors {
        double share;   ///< the most that its weight can be of the sum of all weights
        double growth;  ///< R13, R14: what rounds one of its terms, relative
        bool isOne;     ///< its weight is exactly 1, and the sum of all is exact
    };
    using Sums = std::vector<double>;  ///< one for each component

    /// `total` scores, of which weights.rows may weigh more than 0; v rounds weighted values.
    SoftmaxColumns(ValueRows const& values, std::size_t total, SoftmaxWeights const& weights,
                   std::vector<RowFactors> const& factors, Rounding const& v)
        : magnitude(values.width), center(values.width), spread(values.width), hull(values.width),
          given(values.width), rounded(values.width), sums(values.width), capped(values.width),
          width_(values.width), total_(double(total)), count_(double(factors.size())) {
        double whole = 0;
        std::size_t next = 0;
        for (std::size_t i = 0; i < factors.size(); ++i, ++next) {
            auto const& box = weights.rows[i];
            for (; next < box.index; ++next) addMagnitude(sized(values.row(next)));
            addRow(values.row(next), sized(values.row(next)), box.weight, factors[i], v);
            whole += box.weight;
        }
        for (; next < total; ++next) addMagnitude(sized(values.row(next)));
        for (auto& x : center) x /= whole;
        for (std::size_t i = 0; i < factors.size(); ++i) {
            auto const& row = values.row(weights.rows[i].index);
            addSpread(row.center, weights.rows[i].spread);
            addCapped(sized(row), factors[i].share, v.unit);
        }
    }

    Sums magnitude, center, spread;  ///< spread: in units of the denominator
    Sums hull, given;                ///< the largest distance from the center, and radius, of one
    Sums rounded, sums, capped;

    /// R2, R3: what the sum of weighted values is made of.
    Terms terms(std::size_t component) const {
        return {total_, count_, sums[component], capped[component]};
    }

   private:
    using Row = ValueRows::Row;

    /// Numbers whose magnitudes are the most that the values of a row may be.
    double const* sized(Row const& row) {
        if (row.radius == nullptr) return row.center;
        for (std::size_t c = 0; c < width_; ++c)
            sizes_[c] = std::abs(row.center[c]) + row.radius[c];
        return sizes_.data();
    }
    void addMagnitude(double const* sized) {
        for (std::size_t c = 0; c < width_; ++c) magnitude[c] += std::abs(sized[c]);
    }
    void addRow(Row const& row, double const* sized, double weight, RowFactors const& by,
                Rounding const& v) {
        double const growth = by.share * by.growth;
        for (std::size_t c = 0; c < width_; ++c) {
            magnitude[c] += std::abs(sized[c]);
            sums[c] += by.share * std::abs(sized[c]);
        }
        for (std::size_t c = 0; c < width_; ++c) center[c] += weight * row.center[c];
        for (std::size_t c = 0; row.radius != nullptr && c < width_; ++c)
            given[c] = std::max(given[c], row.radius[c]);
        for (std::size_t c = 0; !by.isOne && c < width_; ++c)
            rounded[c] += growth * std::abs(sized[c]);
        for (std::size_t c = 0; by.isOne && c < width_; ++c) {
            // One times a value that is held is that value.
            bool const isKept = row.isExact(c) && v.holds(row.center[c]);
            rounded[c] += isKept ? 0 : growth * std::abs(sized[c]);
        }
    }
    void addSpread(double const* centers, double rowSpread) {
        for (std::size_t c = 0; c < width_; ++c) {
            double const distance = std::abs(centers[c] - center[c]);
            spread[c] += rowSpread * distance;
            hull[c] = hull[c] < distance ? distance : hull[c];
        }
    }
    void addCapped(double const* sized, double share, double unit) {
        for (std::size_t c = 0; c < width_; ++c) {
            double const term = share * std::abs(sized[c]), cap = unit * sums[c];
            capped[c] += term < cap ? term : cap;
        }
    }

    std::size_t width_;
    double total_, count_;       // scores, and those that weigh
    Sums sizes_ = Sums(width_);  // of a row that is not exact
};

}  // namespace kv
