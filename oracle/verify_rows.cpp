// verify_rows: rows only move, so they are compared bit for bit, and what differs is named.
//
// The search for what happened knows plain accidents only: rows that are missing, doubled, swapped
// or stale, and heads that are swapped. An accident is a way to read the expected rows in another
// order, so the same list serves a whole read-back, which is compared with it, and a digest, which
// is compared with the digest of it.
#include "oracle/sha256.hpp"
#include "oracle/verify_parts.hpp"
#include "properties/storing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>

namespace kv::oracle::detail {

namespace {

using properties::RowShape;

/// Keys or values: which tensors, which law, what they are called.
struct Kind {
    std::string name;
    std::string fresh;  ///< key of the tensor with this update's rows
    LayerTensors::Name const *freshName, *whole, *digest;
    std::string wholeKey, digestKey;
    std::string_view lastLaw;
};

/// The expected rows read in another order. An index of `zeros` stands for a row of zeros.
struct Accident {
    static constexpr std::size_t zeros = std::size_t(-1);
    struct HeadSwap {
        std::size_t from = 0, to = 0;  ///< rows
        std::size_t a = 0, b = 0;      ///< heads; equal: none
    };
    std::string what;
    std::vector<std::size_t> order;
    HeadSwap heads;
};
using TryAccident = std::function<bool(Accident const&)>;

/// A search hashes or compares all rows once per accident. Up to so many rows it takes about a
/// second with every pair of rows, and with single rows only.
constexpr std::size_t mostPairs = 128, mostSearched = 512;

std::vector<std::size_t> inOrder(std::size_t count) {
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), std::size_t{0});
    return order;
}

std::string rowsText(std::size_t from, std::size_t to) {
    return to - from == 1 ? fmt::format("row {}", from)
                          : fmt::format("rows {} to {}", from, to - 1);
}

/// Lengths that are not right. Returns whether one of them was it.
bool tryLengths(std::size_t first, std::size_t total, TryAccident const& isIt) {
    for (std::size_t gone = 1; gone <= total - first; ++gone)
        if (isIt({gone == 1 ? "the newest row is missing"
                            : fmt::format("the newest {} rows are missing", gone),
                  inOrder(total - gone), {}}))
            return true;
    for (std::size_t i = 0; i < total; ++i) {
        auto order = inOrder(total);
        order.erase(order.begin() + std::ptrdiff_t(i));
        if (isIt({fmt::format("row {} is missing", i), order, {}}))
            return true;
        order = inOrder(total);
        order.insert(order.begin() + std::ptrdiff_t(i), i);
        if (isIt({fmt::format("row {} stands twice and the cache is one row too long", i), order,
                  {}}))
            return true;
    }
    return false;
}

/// Row `i` holds another row, or nothing.
bool tryRow(std::size_t first, std::size_t total, std::size_t i, std::size_t source,
            TryAccident const& isIt) {
    auto changed = inOrder(total);
    changed[i] = source;
    std::string what = fmt::format("row {} equals row {}: row {} is doubled", i, source, source);
    if (source == Accident::zeros)
        what = fmt::format("row {} is all zeros: never written", i);
    else if (i >= first && source < first)
        what = fmt::format("row {} holds row {} of the step before: the newest row is stale", i,
                           source);
    return isIt({what, changed, {}});
}

bool trySwap(std::size_t total, std::size_t i, std::size_t j, TryAccident const& isIt) {
    auto changed = inOrder(total);
    std::swap(changed[i], changed[j]);
    return isIt({fmt::format("rows {} and {} are swapped", i, j), changed, {}});
}

/// Rows at the wrong place, the number of rows being right.
bool tryRows(std::size_t first, std::size_t total, TryAccident const& isIt) {
    for (std::size_t i = 0; i + 1 < total; ++i) {
        auto pushed = inOrder(total);
        pushed.insert(pushed.begin() + std::ptrdiff_t(i), i);
        pushed.pop_back();
        if (trySwap(total, i, i + 1, isIt) || tryRow(first, total, i + 1, i, isIt) ||
            tryRow(first, total, i, i + 1, isIt) ||
            tryRow(first, total, i + 1, Accident::zeros, isIt) ||
            isIt({fmt::format("row {} stands twice, the rows behind it moved by one and the "
                              "newest is lost",
                              i),
                  pushed, {}}))
            return true;
    }
    for (std::size_t i = first; i < total; ++i)
        for (std::size_t source = 0; source < total; ++source)
            if (source != i && tryRow(first, total, i, source, isIt))
                return true;
    for (std::size_t i = 0; i < total && total <= mostPairs; ++i)
        for (std::size_t j = i + 2; j < total; ++j)
            if (trySwap(total, i, j, isIt))
                return true;
    return false;
}

bool tryHeads(std::size_t total, std::size_t heads, TryAccident const& isIt) {
    auto const swapped = [&](std::size_t from, std::size_t to) {
        for (std::size_t a = 0; a < heads; ++a)
            for (std::size_t b = a + 1; b < heads; ++b)
                if (isIt({fmt::format("kv heads {} and {} are swapped in {}", a, b,
                                      rowsText(from, to)),
                          inOrder(total), {from, to, a, b}}))
                    return true;
        return false;
    };
    for (std::size_t from = 0; from < total; ++from)
        if (swapped(from, total) || swapped(0, from + 1) || swapped(from, from + 1))
            return true;
    return false;
}

Row rowUnder(Accident const& accident, RowTable const& want, std::size_t i) {
    std::size_t const dim = want.shape.dim;
    auto const& swap = accident.heads;
    if (accident.order[i] == Accident::zeros)
        return Row(want.shape.size());
    Row row = want.rows[accident.order[i]];
    if (swap.a != swap.b && i >= swap.from && i < swap.to)
        std::swap_ranges(row.begin() + std::ptrdiff_t(swap.a * dim),
                         row.begin() + std::ptrdiff_t((swap.a + 1) * dim),
                         row.begin() + std::ptrdiff_t(swap.b * dim));
    return row;
}

std::string digestOf(std::vector<Row> const& rows) {
    std::vector<float> numbers;
    for (Row const& row : rows)
        numbers.insert(numbers.end(), row.begin(), row.end());
    return sha256HexOfFloats(numbers);
}

/// The first accident that turns `want` into what `matches` accepts.
std::optional<Accident> accidentOf(RowTable const& want, std::size_t first,
                                   TryAccident const& matches) {
    std::optional<Accident> found;
    TryAccident const isIt = [&](Accident const& accident) {
        if (!matches(accident))
            return false;
        found = accident;
        return true;
    };
    std::size_t const total = want.rows.size();
    if (total > mostSearched)
        return {};
    tryLengths(first, total, isIt) || tryHeads(total, want.shape.heads, isIt) ||
        tryRows(first, total, isIt);
    return found;
}

std::optional<Accident> accidentOf(RowTable const& want, std::size_t first, RowTable const& got) {
    return accidentOf(want, first, [&](Accident const& accident) {
        if (accident.order.size() != got.rows.size())
            return false;
        for (std::size_t i = 0; i < got.rows.size(); ++i)
            if (!sameBits(got.rows[i], rowUnder(accident, want, i)))
                return false;
        return true;
    });
}

std::optional<Accident> accidentOf(RowTable const& want, std::size_t first,
                                   std::string const& digest) {
    return accidentOf(want, first, [&](Accident const& accident) {
        std::vector<Row> rows;
        for (std::size_t i = 0; i < accident.order.size(); ++i)
            rows.push_back(rowUnder(accident, want, i));
        return digestOf(rows) == digest;
    });
}

/// The expected rows of a read-back of `count` rows: all of them, or what a ring still holds.
std::optional<RowTable> expectedRows(Visit const& visit, RowTable const& all, std::size_t count) {
    LayerDeclaration const& layer = visit.declared();
    std::size_t const total = visit.total();
    std::size_t const least =
        layer.retained == 0 ? total : std::min(total, layer.window + layer.sinks);
    if (count < least || count > total)
        return {};
    RowTable expected{all.shape, {}};
    std::size_t const pinned = std::min(layer.sinks, count);
    for (std::size_t i = 0; i < count; ++i)
        expected.rows.push_back(all.rows[i < pinned ? i : total - count + i]);
    return expected;
}

/// What one read-back says about the laws of append.
struct Findings {
    Finding length, last, prefix;
};

class RowsCheck {
   public:
    RowsCheck(Visit const& visit, History& history, Kind const& kind, RowTable const& all,
              Ledger& ledger)
        : visit_(visit), history_(history), kind_(kind), all_(all), ledger_(ledger) {}

    void run(bool& isExplained) {
        if (*kind_.whole) {
            missUnknownRows();
            compareWhole(*visit_.rows(*kind_.whole, all_.shape));
        } else if (!*kind_.digest) {
            missEverywhere(kind_.wholeKey);
        } else if (!all_.knows(0, visit_.total())) {
            missEverywhere(kind_.fresh);  // a digest speaks of all rows or of none
        } else {
            compareDigest(isExplained);
        }
        ledger_.add("appendKV_length", findings_.length);
        ledger_.add(kind_.lastLaw, findings_.last);
        if (visit_.first > 0)
            ledger_.add("appendKV_prefix", findings_.prefix);
    }

   private:
    void missEverywhere(std::string const& tensor) {
        findings_.length.missing = findings_.last.missing = findings_.prefix.missing = {tensor};
    }
    void missUnknownRows() {
        if (!*kind_.freshName)
            findings_.last.missing = {kind_.fresh};
        if (!all_.knows(0, visit_.first))
            findings_.prefix.missing = {kind_.fresh};
    }

    RecordedViolation violation(std::string what, std::string const& tensor, std::size_t row,
                                std::optional<Difference> const& difference) const {
        RecordedViolation v{visit_.place(tensor), std::move(what), {}, {}};
        v.place.row = row;
        if (difference) {
            v.place.head = difference->head;
            v.place.component = difference->component;
            v.got = bitsText(difference->got);
            v.want = bitsText(difference->want);
        }
        return v;
    }

    void compareWhole(RowTable const& got) {
        std::size_t const count = got.rows.size();
        auto const want = expectedRows(visit_, all_, count);
        bool const isKnown = all_.knows(0, visit_.total());
        if (!want) {
            auto const accident =
                isKnown ? accidentOf(all_, visit_.first, got) : std::optional<Accident>{};
            auto v = violation(accident ? accident->what : "the cache has the wrong length",
                               **kind_.whole, std::min(count, visit_.total() - 1), {});
            v.got = fmt::format("{} rows", count);
            v.want = fmt::format("{} rows", visit_.total());
            findings_.length.violation = v;
            // Rows that are there may still be the right ones.
            compareRows(got, all_, accident ? accident->what : std::string{});
            return;
        }
        std::optional<Accident> accident;
        if (isKnown && !std::equal(got.rows.begin(), got.rows.end(), want->rows.begin(),
                                   [](Row const& a, Row const& b) { return sameBits(a, b); }))
            accident = accidentOf(*want, count - std::min(count, visit_.line().count), got);
        compareRows(got, *want, accident ? accident->what : std::string{});
        compareDigestOf(got);
    }

    /// Row by row, where both are there and known.
    void compareRows(RowTable const& got, RowTable const& want, std::string const& accident) {
        std::size_t const count = std::min(got.rows.size(), want.rows.size());
        std::size_t const before = count - std::min(count, visit_.line().count);
        for (std::size_t i = 0; i < count; ++i) {
            if (want.rows[i].empty())
                continue;
            ledger_.countBitwise(want.shape.size());
            auto const difference = firstDifference(got.rows[i], want.rows[i], want.shape);
            // A cache that is too short or too long is cut where its own rows begin.
            bool const isOld = got.rows.size() == want.rows.size() ? i < before : i < visit_.first;
            auto& finding = isOld ? findings_.prefix : findings_.last;
            if (difference && !finding.violation && finding.missing.empty())
                finding.violation = violation(
                    accident.empty() ? explain(got, want, i) : accident, **kind_.whole, i,
                    difference);
        }
        bool const hasNewest = got.rows.size() >= visit_.total() ||
                               got.rows.size() == want.rows.size();
        if (!hasNewest && !findings_.last.violation && findings_.last.missing.empty())
            findings_.last.violation = findings_.length.violation;
    }

    /// A whole read-back and a digest beside it must belong together.
    void compareDigestOf(RowTable const& got) {
        auto& finding = visit_.first > 0 ? findings_.prefix : findings_.last;
        if (!*kind_.digest || digestOf(got.rows) == **kind_.digest || finding.violation)
            return;
        auto v = violation("the digest is not that of the rows beside it", kind_.digestKey, 0, {});
        v.got = **kind_.digest;
        v.want = digestOf(got.rows);
        finding.violation = v;
    }

    std::string explain(RowTable const& got, RowTable const& want, std::size_t i) const {
        std::size_t rows = 0, bits = 0, last = i;
        for (std::size_t k = 0; k < std::min(got.rows.size(), want.rows.size()); ++k) {
            std::size_t const more =
                want.rows[k].empty() ? 0 : differentBits(got.rows[k], want.rows[k]);
            bits += more;
            rows += more > 0 ? 1 : 0;
            last = more > 0 ? k : last;
        }
        if (bits == 1)
            return fmt::format("one bit of row {} differs", i);
        for (std::size_t j = 0; j < want.rows.size(); ++j)
            if (!want.rows[j].empty() && sameBits(got.rows[i], want.rows[j]))
                return fmt::format("row {} equals row {}", i, j);
        auto const isRaw = [&](RowTable const& raw) {
            return want.rows.size() == raw.rows.size() && sameBits(got.rows[i], raw.rows[i]);
        };
        if (kind_.name == "key" && isRaw(history_.raw))
            return fmt::format("row {} holds the key before its rotation", i);
        if (rows == 1)
            return fmt::format("{} bits of row {} differ", bits, i);
        return fmt::format("{} bits in {} rows differ, the last in row {}", bits, rows, last);
    }

    void compareDigest(bool& isExplained) {
        std::size_t const total = visit_.total();
        ledger_.countBitwise(total * all_.shape.size());
        bool matches = false;
        std::size_t const least = visit_.declared().retained == 0 ? total : 0;
        for (std::size_t count = total + 1; count-- > least && !matches;)
            if (auto const want = expectedRows(visit_, all_, count))
                matches = digestOf(want->rows) == **kind_.digest;
        if (matches)
            return;
        auto const plain = [&](std::string what) {
            auto v = violation(std::move(what), kind_.digestKey, visit_.first, {});
            v.got = **kind_.digest;
            v.want = digestOf(all_.rows);
            return v;
        };
        if (isExplained) {  // a search takes its time, and the first place is the one that counts
            blame(plain("the digest is not that of the rows that were given"), visit_.first);
            return;
        }
        isExplained = true;
        if (auto const accident = accidentOf(all_, visit_.first, **kind_.digest)) {
            blameAccident(*accident, plain(accident->what + ", as its digest shows"));
            return;
        }
        blameByLaterRows(plain("the digest is that of no plain accident, and no later whole cache "
                               "shows which row it is"));
    }

    /// The violation belongs to the law that speaks of that row.
    void blame(RecordedViolation v, std::size_t row) {
        v.place.row = row;
        auto& finding = row < visit_.first ? findings_.prefix : findings_.last;
        if (!finding.violation)
            finding.violation = std::move(v);
    }

    void blameAccident(Accident const& accident, RecordedViolation const& v) {
        if (accident.order.size() != all_.rows.size()) {
            findings_.length.violation = v;
            findings_.length.violation->got = fmt::format("{} rows", accident.order.size());
            findings_.length.violation->want = fmt::format("{} rows", all_.rows.size());
        }
        for (std::size_t i = 0; i < all_.rows.size(); ++i) {
            bool const isThere = i < accident.order.size();
            Row const row = isThere ? rowUnder(accident, all_, i) : Row{};
            if (isThere && sameBits(row, all_.rows[i]))
                continue;
            auto found = v;
            if (isThere)
                if (auto const difference = firstDifference(row, all_.rows[i], all_.shape))
                    found = violation(v.what, kind_.digestKey, i, difference);
            blame(found, i);
        }
    }

    /// A later whole read-back of the same sequence still shows these rows.
    void blameByLaterRows(RecordedViolation v) {
        auto const& updates = visit_.recording.updates;
        for (std::size_t u = visit_.update + 1; u < updates.size(); ++u) {
            Visit const later{visit_.recording, visit_.tensors, u, visit_.layer, 0};
            auto const& name = kind_.name == "key" ? later.named().cacheKey
                                                   : later.named().cacheValue;
            if (updates[u].sequence != visit_.line().sequence || !name)
                continue;
            RowTable got = *visit_.rows(name, all_.shape);
            if (visit_.declared().retained != 0 || got.rows.size() < all_.rows.size())
                break;
            got.rows.resize(all_.rows.size());
            for (std::size_t i = 0; i < all_.rows.size(); ++i)
                if (auto const d = firstDifference(got.rows[i], all_.rows[i], all_.shape)) {
                    blame(violation(fmt::format("{}, as the whole cache at step {} shows",
                                                explain(got, all_, i), u),
                                    kind_.digestKey, i, d),
                          i);
                    return;
                }
            v.what = fmt::format("only this step differs: the whole cache at step {} holds the "
                                 "rows that were given",
                                 u);
            break;
        }
        auto& finding = visit_.first > 0 ? findings_.prefix : findings_.last;
        finding.violation = std::move(v);
    }

    Visit const& visit_;
    History& history_;
    Kind const& kind_;
    RowTable const& all_;
    Ledger& ledger_;
    Findings findings_;
};

/// Adds the rows of one tensor, or as many unknown ones.
void extend(RowTable& table, std::optional<RowTable> const& fresh, std::size_t count) {
    if (fresh)
        table.rows.insert(table.rows.end(), fresh->rows.begin(), fresh->rows.end());
    else
        table.rows.resize(table.rows.size() + count);
}

/// What the cache makes of rows; one that the declared format does not give is unknown.
std::optional<RowTable> held(properties::Storage const& storage, Numerics const& numerics,
                             std::optional<RowTable> rows) {
    if (!rows || !isConverted(storage.format()))
        return rows;
    for (Row& row : rows->rows) {
        auto made = storage.held(properties::lift(row, rows->shape, numerics));
        bool const isOpen =
            made.hasOpenZeros && std::ranges::find(made.read, 0) != made.read.end();
        row = made.isReadable() && !isOpen ? std::move(made.read) : Row{};
    }
    return rows;
}

/// Rows that no tensor gave are taken from the first whole read-back that shows them.
void adopt(Visit const& visit, RowTable& table, LayerTensors::Name const& whole) {
    auto const got = visit.rows(whole, table.shape);
    if (!got || got->rows.size() != table.rows.size())
        return;
    for (std::size_t i = 0; i < table.rows.size(); ++i)
        if (table.rows[i].empty())
            table.rows[i] = got->rows[i];
}

/// The rows that attention reads, for the spec. A row that became known late is lifted then.
void liftRows(Visit const& visit, History& history) {
    std::size_t const total = visit.total();
    history.liftedKeys.resize(total);
    history.liftedValues.resize(total);
    for (std::size_t i = 0; i < total; ++i) {
        bool const isConverted = kv::isConverted(visit.declared().keyFormat);
        Row const& key = (isConverted ? history.stored : history.turned).rows[i];
        Row const& value = history.values.rows[i];
        if (history.liftedKeys[i].size() == 0 && !key.empty())
            history.liftedKeys[i] = properties::lift(key, visit.keyShape(), visit.numerics());
        if (history.liftedValues[i].size() == 0 && !value.empty())
            history.liftedValues[i] =
                properties::lift(value, visit.valueShape(), visit.numerics());
    }
}

}  // namespace

void checkRows(Visit const& visit, History& history, Ledger& ledger) {
    LayerTensors const& named = visit.named();
    std::size_t const count = visit.line().count;
    bool const isRaw = visit.declared().keyStorage == KeyStorage::raw &&
                       visit.declared().rotaryLayout != RotaryLayout::none;
    auto const& storedName = isRaw ? named.keyRaw : named.key;
    auto const keys = properties::keyStorageOf(visit.declared(), visit.numerics());
    auto const values = properties::valueStorageOf(visit.declared(), visit.numerics());
    extend(history.stored, held(keys, visit.numerics(), visit.rows(storedName, visit.keyShape())),
           count);
    extend(history.raw, visit.rows(named.keyRaw, visit.keyShape()), count);
    extend(history.turned, visit.rows(named.key, visit.keyShape()), count);
    extend(history.values,
           held(values, visit.numerics(), visit.rows(named.value, visit.valueShape())), count);
    extend(history.queries, visit.rows(named.query, visit.queryShape()), count);
    extend(history.rawQueries, visit.rows(named.queryRaw, visit.queryShape()), count);
    extend(history.outputs, visit.rows(named.output, visit.outputShape()), count);

    Kind const key{"key",           isRaw ? "keyRaw" : "key", &storedName,
                   &named.cacheKey, &named.cacheKeySha256,    "cacheKey",
                   "cacheKeySha256", "appendKV_last_key"};
    Kind const value{"value",           "value",                &named.value,
                     &named.cacheValue, &named.cacheValueSha256, "cacheValue",
                     "cacheValueSha256", "appendKV_last_value"};
    RowsCheck(visit, history, key, history.stored, ledger).run(history.explainedKeys);
    RowsCheck(visit, history, value, history.values, ledger).run(history.explainedValues);

    adopt(visit, history.stored, named.cacheKey);
    adopt(visit, history.values, named.cacheValue);
    if (!isRaw && !isConverted(visit.declared().keyFormat))
        for (std::size_t i = 0; i < history.turned.rows.size(); ++i)
            if (history.turned.rows[i].empty())
                history.turned.rows[i] = history.stored.rows[i];
    liftRows(visit, history);
}

}  // namespace kv::oracle::detail
