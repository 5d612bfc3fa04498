// meter_engines: decode one query, in every way that conforms and with one accident each.
//
// An accident is mostly a list of slots: which row's key is scored, and which row's value is taken.
#include "oracle/meter.hpp"
#include "spec/minifloat.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace kv::oracle {

namespace {

constexpr float lowest = -std::numeric_limits<float>::infinity();

/// The rows that are read, in order.
struct Slots {
    std::vector<std::size_t> keys{}, values{};
    std::size_t size() const { return keys.size(); }
    void cut(std::size_t begin, std::size_t end) {
        for (auto* slots : {&keys, &values})
            slots->erase(slots->begin() + std::ptrdiff_t(begin),
                         slots->begin() + std::ptrdiff_t(end));
    }
};

std::size_t pageOf(std::size_t visible) {
    return std::clamp(visible / 4, std::size_t{1}, std::size_t{16});
}

void disturb(Slots& slots, DecodeInput const& input, Accident accident) {
    std::size_t const n = slots.size(), middle = n / 2, page = pageOf(n);
    std::size_t const behind = input.length, before = input.length + 1;
    if (accident == Accident::oneKeyTooMany)
        slots.keys.push_back(behind), slots.values.push_back(behind);
    if (accident == Accident::lastMissing)
        slots.cut(n - 1, n);
    if (accident == Accident::firstMissing)
        slots.cut(0, 1);
    if (accident == Accident::staleKey)
        slots.keys[middle] = before;
    if (accident == Accident::staleValue)
        slots.values[middle] = before;
    if (accident == Accident::keyTwice) {
        slots.keys.push_back(slots.keys[middle]);
        slots.values.push_back(slots.values[middle]);
    }
    if (accident == Accident::droppedBlock)
        slots.cut(middle, middle + page);
    if (accident == Accident::swappedValuePage)
        std::swap_ranges(slots.values.begin(), slots.values.begin() + std::ptrdiff_t(page),
                         slots.values.begin() + std::ptrdiff_t(middle));
}

Slots slotsOf(DecodeInput const& input, Accident accident) {
    bool const isWide = accident == Accident::maskTooWide && input.first > 0;
    Slots slots;
    for (std::size_t j = input.first - (isWide ? 1 : 0); j < input.length; ++j)
        slots.keys.push_back(j), slots.values.push_back(j);
    disturb(slots, input, accident);
    return slots;
}

/// A row turned by one more position: Su et al., RoFormer, arXiv 2104.09864, with the pairing of
/// RotaryLayout::halfSplit and the usual base.
std::vector<float> turnedByOne(float const* row, std::size_t dim) {
    std::vector<float> turned(row, row + dim);
    std::size_t const half = dim / 2;
    for (std::size_t i = 0; i < half; ++i) {
        double const angle = std::pow(10000.0, -double(2 * i) / double(dim));
        double const c = std::cos(angle), s = std::sin(angle), x = row[i], y = row[i + half];
        turned[i] = float(x * c - y * s);
        turned[i + half] = float(x * s + y * c);
    }
    return turned;
}

/// What online softmax carries along.
struct Part {
    float top = lowest, total = 0;
    std::vector<float> sums;
};

/// One head of one engine. All arithmetic is in f32.
class Head {
   public:
    Head(DecodeInput const& input, std::size_t head, EngineForm form, Accident accident)
        : input_(input), form_(form), accident_(accident), slots_(slotsOf(input, accident)) {
        kvHead_ = input.kvHeadOf(head);
        if (accident == Accident::wrongKvHead && head == 0)
            kvHead_ = input.kvHeads - 1;
        query_.assign(input.query(head), input.query(head) + input.dim);
        if (accident == Accident::queryPosition)
            query_ = turnedByOne(query_.data(), input.dim);
        scale_ = accident == Accident::wrongScale
                     ? float(1 / std::sqrt(1 / (double(input.scale) * input.scale) + 1))
                     : input.scale;
        for (std::size_t i = 0; i < slots_.size(); ++i)
            scores_.push_back(score(i));
    }

    std::vector<float> run() const {
        std::size_t const n = slots_.size();
        std::size_t const block = std::clamp(n / 4, std::size_t{1}, std::size_t{64});
        if (form_ == EngineForm::blocked || form_ == EngineForm::fused)
            return normalised(online(0, n, block));
        if (form_ == EngineForm::perKey)
            return normalised(online(0, n, 1));
        if (form_ == EngineForm::partsByWeights || form_ == EngineForm::partsByLogSumExp)
            return inParts(block);
        return twoPass();
    }

   private:
    float const* value(std::size_t i) const { return input_.value(kvHead_, slots_.values[i]); }

    float score(std::size_t i) const {
        float const* key = input_.key(kvHead_, slots_.keys[i]);
        std::vector<float> turned;
        if (accident_ == Accident::newestKeyPosition && i + 1 == slots_.size()) {
            turned = turnedByOne(key, input_.dim);
            key = turned.data();
        }
        return dot(key, 0, input_.dim) * scale_;
    }
    float dot(float const* key, std::size_t begin, std::size_t end) const {
        float sum = 0;
        if (form_ == EngineForm::pairwise && end - begin > 2) {
            std::size_t const middle = begin + (end - begin) / 2;
            return dot(key, begin, middle) + dot(key, middle, end);
        }
        for (std::size_t i = begin; i < end; ++i) {
            std::size_t const c = form_ == EngineForm::reversed ? end - 1 - (i - begin) : i;
            sum += query_[c] * key[c];
        }
        return sum;
    }

    float expBelow(float s, float top) const {
        if (form_ != EngineForm::fused)
            return std::exp(s - top);
        constexpr float c = std::numbers::log2e_v<float>;
        return std::exp2(std::fma(s, c, -(top * c)));
    }

    std::vector<float> twoPass() const {
        float const top = *std::max_element(scores_.begin(), scores_.end());
        return normalised(summed(top, 0, slots_.size()));
    }
    /// Rows begin .. end - 1 below one maximum, in the order of this engine.
    Part summed(float top, std::size_t begin, std::size_t end) const {
        if (form_ == EngineForm::pairwise && end - begin > 4) {
            std::size_t const middle = begin + (end - begin) / 2;
            Part part = summed(top, begin, middle);
            Part const other = summed(top, middle, end);
            part.total += other.total;
            for (std::size_t c = 0; c < input_.dim; ++c)
                part.sums[c] += other.sums[c];
            return part;
        }
        Part part{.top = top, .sums = std::vector<float>(input_.dim)};
        for (std::size_t i = begin; i < end; ++i)
            add(part, form_ == EngineForm::reversed ? end - 1 - (i - begin) : i);
        return part;
    }
    void add(Part& part, std::size_t i) const {
        float weight = expBelow(scores_[i], part.top);
        part.total += weight;
        if (accident_ == Accident::roundedWeights)
            weight = roundedTo(weight, Element::bf16);
        float const* const row = value(i);
        for (std::size_t c = 0; c < input_.dim; ++c)
            part.sums[c] += weight * row[c];
    }

    void rescale(Part& part, float top) const {
        float const factor = part.top == lowest ? 0 : expBelow(part.top, top);
        part.top = top;
        if (accident_ == Accident::missingRescale)
            return;
        part.total *= factor;
        for (auto& sum : part.sums)
            sum *= factor;
    }
    Part online(std::size_t begin, std::size_t end, std::size_t block) const {
        Part part{.sums = std::vector<float>(input_.dim)};
        for (; begin < end; begin += block) {
            std::size_t const last = std::min(end, begin + block);
            float top = part.top;
            for (std::size_t i = begin; i < last; ++i)
                top = std::max(top, scores_[i]);
            if (top != part.top)
                rescale(part, top);
            for (std::size_t i = begin; i < last; ++i)
                add(part, i);
        }
        return part;
    }
    std::vector<float> normalised(Part const& part) const {
        auto y = part.sums;
        for (auto& x : y)
            x /= part.total;
        return y;
    }

    /// Four parts. By log-sum-exp each is normalised and weighs what its log-sum-exp says.
    std::vector<float> inParts(std::size_t block) const {
        std::size_t const n = slots_.size(), size = (n + 3) / 4;
        bool const isMean = form_ == EngineForm::partsByLogSumExp;
        std::vector<Part> parts;
        float top = lowest;
        for (std::size_t begin = 0; begin < n; begin += size) {
            auto const small = std::max(block / 4, std::size_t{1});
            auto part = online(begin, std::min(n, begin + size), small);
            if (isMean)
                part = {part.top + std::log(part.total), 1, normalised(part)};
            top = std::max(top, part.top);
            parts.push_back(std::move(part));
        }
        Part whole{.top = top, .sums = std::vector<float>(input_.dim)};
        for (auto& part : parts) {
            rescale(part, top);
            whole.total += part.total;
            for (std::size_t c = 0; c < input_.dim; ++c)
                whole.sums[c] += part.sums[c];
        }
        return normalised(whole);
    }

    DecodeInput const& input_;
    EngineForm form_;
    Accident accident_;
    Slots slots_;
    std::size_t kvHead_ = 0;
    float scale_ = 1;
    std::vector<float> query_, scores_;
};

Format const& formatOf(Element element) {
    switch (element) {
        case Element::f16:
            return formats::f16;
        case Element::bf16:
            return formats::bf16;
        case Element::e4m3fn:
            return formats::e4m3fn;
        case Element::f32:
            break;
    }
    return formats::f32;
}

constexpr Numerics fusedNumerics = [] {
    Numerics n = numericsF32Plain;
    n.exponent = ExponentForm::fused;
    return n;
}();
constexpr Numerics mergedNumerics = [] {
    Numerics n = numericsF32Plain;
    n.merge = PartMerge::logSumExp;
    n.parts = 4;
    return n;
}();

}  // namespace

float roundedTo(float x, Element element) {
    if (element == Element::f32)
        return x;
    auto const& format = formatOf(element);
    return toFloat(kv::decode(format, encode(format, exactly(x))));
}

Numerics const& numericsOf(EngineForm form) {
    if (form == EngineForm::fused)
        return fusedNumerics;
    return form == EngineForm::partsByLogSumExp ? mergedNumerics : numericsF32Plain;
}

std::vector<float> decode(DecodeInput const& input, EngineForm form, Accident accident) {
    std::vector<float> output(input.queryHeads * input.dim);
    for (std::size_t h = 0; accident != Accident::zeroOutput && h < input.queryHeads; ++h) {
        auto const y = Head(input, h, form, accident).run();
        std::copy(y.begin(), y.end(), output.begin() + std::ptrdiff_t(h * input.dim));
    }
    return output;
}

std::vector<double> exactDecode(DecodeInput const& input) {
    std::vector<double> output(input.queryHeads * input.dim);
    std::vector<double> weights(input.length);
    for (std::size_t h = 0; h < input.queryHeads; ++h) {
        std::size_t const g = input.kvHeadOf(h);
        double top = -std::numeric_limits<double>::infinity(), total = 0;
        for (std::size_t j = input.first; j < input.length; ++j) {
            double sum = 0;
            for (std::size_t c = 0; c < input.dim; ++c)
                sum += double(input.query(h)[c]) * input.key(g, j)[c];
            weights[j] = sum * input.scale;
            top = std::max(top, weights[j]);
        }
        for (std::size_t j = input.first; j < input.length; ++j)
            total += weights[j] = std::exp(weights[j] - top);
        for (std::size_t j = input.first; j < input.length; ++j)
            for (std::size_t c = 0; c < input.dim; ++c)
                output[h * input.dim + c] += weights[j] / total * input.value(g, j)[c];
    }
    return output;
}

std::vector<float> sameDtypeDecode(DecodeInput const& input, Element dtype) {
    std::vector<float> output(input.queryHeads * input.dim), scores(input.length);
    for (std::size_t h = 0; h < input.queryHeads; ++h) {
        std::size_t const g = input.kvHeadOf(h);
        float top = lowest, total = 0;
        for (std::size_t j = input.first; j < input.length; ++j) {
            float sum = 0;
            for (std::size_t c = 0; c < input.dim; ++c)
                sum += input.query(h)[c] * roundedTo(input.key(g, j)[c] * input.scale, dtype);
            scores[j] = roundedTo(sum, dtype);
            top = std::max(top, scores[j]);
        }
        for (std::size_t j = input.first; j < input.length; ++j)
            total += scores[j] = std::exp(scores[j] - top);
        float* const y = &output[h * input.dim];
        for (std::size_t j = input.first; j < input.length; ++j) {
            float const weight = roundedTo(scores[j] / total, dtype);
            for (std::size_t c = 0; c < input.dim; ++c)
                y[c] += weight * input.value(g, j)[c];
        }
        for (std::size_t c = 0; c < input.dim; ++c)
            y[c] = roundedTo(y[c], dtype);
    }
    return output;
}

}  // namespace kv::oracle
