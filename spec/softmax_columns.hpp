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

/// The values of n scores, [n][width].
struct ValueRows {
    std::size_t width;
    std::vector<double> centers;
    std::vector<double> radii{};  ///< empty where every value is exact

    ValueRows(std::size_t n, std::size_t w) : width(w), centers(n * w) {}
    /// Row j, of elements that have a center and a radius.
    void set(std::size_t j, auto const& row) {
        bool isExact = true;
        for (std::size_t c = 0; c < width; ++c) {
            centers[j * width + c] = row[c].center;
            isExact = isExact && row[c].radius == 0;
        }
        if (isExact && radii.empty()) return;
        radii.resize(centers.size());
        for (std::size_t c = 0; c < width; ++c) radii[j * width + c] = row[c].radius;
    }
    Ball at(std::size_t row, std::size_t component) const {
        std::size_t const i = row * width + component;
        return {centers[i], radii.empty() ? 0 : radii[i]};
    }
};

class SoftmaxColumns {
   public:
    /// Of the row at index i of weights.rows.
    struct RowFactors {
        double share;   ///< the most that its weight can be of the sum of all weights
        double growth;  ///< R13, R14: what rounds one of its terms, relative
        bool isOne;     ///< its weight is exactly 1, and the sum of all is exact
    };

    /// `total` scores, of which weights.rows may weigh more than 0; v rounds weighted values.
    SoftmaxColumns(ValueRows const& values, std::size_t total, SoftmaxWeights const& weights,
                   std::vector<RowFactors> const& factors, Rounding const& v)
        : magnitude(values.width), center(values.width), spread(values.width),
          least(values.width, HUGE_VAL), most(values.width, -HUGE_VAL), given(values.width),
          rounded(values.width), sums(values.width), count(values.width), capped(values.width),
          total_(double(total)), exact_(values.radii.empty() ? values.width : 0) {
        for (std::size_t j = 0; j < total; ++j) addMagnitudes(rowOf(values, j));
        double whole = 0;
        for (std::size_t i = 0; i < factors.size(); ++i) {
            addRow(rowOf(values, weights.rows[i].index), weights.rows[i], factors[i], v);
            whole += weights.rows[i].weight;
        }
        for (auto& x : center) x /= whole;
        for (std::size_t i = 0; i < factors.size(); ++i)
            addSpread(rowOf(values, weights.rows[i].index), weights.rows[i].spread,
                      factors[i].share, v.unit);
    }

    std::vector<double> magnitude, center, spread;  ///< spread: in units of the denominator
    std::vector<double> least, most, given;         ///< of the values; the largest radius of one
    std::vector<double> rounded, sums, count, capped;

    /// R2, R3: what the sum of weighted values is made of.
    Terms terms(std::size_t component) const {
        return {total_, count[component], sums[component], capped[component]};
    }

   private:
    struct Row {
        double const *center, *radius;
    };
    Row rowOf(ValueRows const& values, std::size_t j) const {
        std::size_t const at = j * values.width;
        return {&values.centers[at], values.radii.empty() ? exact_.data() : &values.radii[at]};
    }
    void addMagnitudes(Row const& row) {
        for (std::size_t c = 0; c < center.size(); ++c)
            magnitude[c] += std::abs(row.center[c]) + row.radius[c];
    }
    void addRow(Row const& row, WeightBox const& box, RowFactors const& by, Rounding const& v) {
        for (std::size_t c = 0; c < center.size(); ++c) {
            double const x = row.center[c], term = by.share * (std::abs(x) + row.radius[c]);
            sums[c] += term;
            count[c] += term > 0 ? 1 : 0;
            center[c] += box.weight * x;
            least[c] = std::min(least[c], x);
            most[c] = std::max(most[c], x);
            given[c] = std::max(given[c], row.radius[c]);
            // One times a value that is held is that value.
            bool const isKept = by.isOne && row.radius[c] == 0 && v.holds(x);
            rounded[c] += isKept ? 0 : term * by.growth;
        }
    }
    void addSpread(Row const& row, double rowSpread, double share, double unit) {
        for (std::size_t c = 0; c < center.size(); ++c) {
            spread[c] += rowSpread * std::abs(row.center[c] - center[c]);
            capped[c] +=
                std::min(share * (std::abs(row.center[c]) + row.radius[c]), unit * sums[c]);
        }
    }

    double total_;               // scores
    std::vector<double> exact_;  // radii of a row of exact values
};

}  // namespace kv
