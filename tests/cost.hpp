// cost: compare a certified interval with a plain reference, side by side.
//
// One query over n rows that are at hand, all components of its output: once as a reference that
// anybody would write, loops over doubles that add from the left, and once as the spec's text on
// enclosures. The two take turns in one process, and the ratio is that of their medians.
#pragma once
#include "tests/soundness.hpp"

#include <cstdio>
#include <ctime>

namespace kv::cost {

using namespace kv::soundness;

inline constexpr std::size_t width = 128, turns = 41;

using Row = Seq<Enclosure, Dyn>;

/// The rows as the judge holds them.
struct Lifted {
    explicit Lifted(Problem const& p)
        : query(row(p, p.q, 0)), scale(exactly(p.scale, *p.numerics)) {
        for (std::size_t j = 0; j < p.n; ++j) {
            keys.push_back(row(p, p.k, j));
            values.push_back(row(p, p.v, j));
        }
    }
    Row certified() const {
        auto const scores = tabulate(Dyn{keys.size()}, [&](std::size_t j) {
            return Reduce<Enclosure>::dot(query, keys[j]) * scale;
        });
        return Reduce<Enclosure>::softmaxMean(
            keys.size(), [&](std::size_t j) { return scores[j]; },
            [&](std::size_t j) -> auto const& { return values[j]; });
    }

   private:
    static Row row(Problem const& p, Floats const& rows, std::size_t j) {
        return tabulate(Dyn{width}, [&](std::size_t i) {
            return exactly(double(rows[j * width + i]), *p.numerics);
        });
    }
    Row query;
    Enclosure scale;
    std::vector<Row> keys, values;
};

inline std::vector<double> plain(Problem const& p) {
    std::vector<double> weights(p.n), output(width);
    double top = -HUGE_VAL, total = 0;
    for (std::size_t j = 0; j < p.n; ++j) {
        for (std::size_t i = 0; i < width; ++i)
            weights[j] += double(p.q[i]) * double(p.k[j * width + i]);
        weights[j] *= double(p.scale);
        top = std::max(top, weights[j]);
    }
    for (std::size_t j = 0; j < p.n; ++j) {
        weights[j] = std::exp(weights[j] - top);
        total += weights[j];
        for (std::size_t c = 0; c < width; ++c)
            output[c] += weights[j] * double(p.v[j * width + c]);
    }
    for (auto& x : output) x /= total;
    return output;
}

/// Processor time of one call, in milliseconds; `sum` keeps what it computed from being left out.
template <class F>
double timed(F f, double& sum) {
    auto const begin = std::clock();
    sum += f();
    return 1000 * double(std::clock() - begin) / CLOCKS_PER_SEC;
}
inline double medianOf(std::vector<double> times) {
    auto const middle = times.begin() + std::ptrdiff_t(times.size() / 2);
    std::nth_element(times.begin(), middle, times.end());
    return *middle;
}

inline void print(std::uint64_t seed) {
    std::printf("processor time of one query over n rows of %zu components, %zu turns each\n"
                "%-8s %6s %12s %12s %7s\n",
                width, turns, "rows", "n", "plain, ms", "interval", "ratio");
    Random random(seed);
    double sum = 0;
    for (auto const input : {Input::normal, Input::oneHot})
        for (std::size_t n = 256; n <= 4096; n *= 4) {
            auto p = drawn(random, n, width, width);
            p.numerics = &numericsF32;
            if (input == Input::oneHot) probe(p, input, random);
            Lifted const lifted(p);
            std::vector<double> references, intervals;
            for (std::size_t turn = 0; turn < turns; ++turn) {
                references.push_back(timed([&] { return plain(p)[0]; }, sum));
                intervals.push_back(timed([&] { return lifted.certified()[0].center; }, sum));
            }
            double const reference = medianOf(references), interval = medianOf(intervals);
            std::printf("%-8s %6zu %12.3f %12.3f %6.1fx\n",
                        std::string(inputNames[std::size_t(input)]).c_str(), n, reference, interval,
                        interval / reference);
        }
    std::printf("(all outputs add up to %g)\n", sum);
}

}  // namespace kv::cost
