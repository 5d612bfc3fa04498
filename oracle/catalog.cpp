#include "oracle/catalog.hpp"

#include "bugs/zoo.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>

namespace kv::oracle {

namespace {

using properties::RegisteredLaw;

std::string_view scopeName(Scope scope) { return scope == Scope::spec ? "spec" : "engine"; }
std::string_view owedName(Owed owed) {
    switch (owed) {
        case Owed::moves:
            return "moves";
        case Owed::repeats:
            return "repeats";
        case Owed::repeatsInAnyBatch:
            return "batches";
        case Owed::computes:
            break;
    }
    return "computes";
}

/// "length 4, heads 2:1, key dim 5, value dim 3, halfSplit 4, window 3"
std::string shapeText(ProvedShape const& s) {
    std::string text = fmt::format("length {}, heads {}:{}, key dim {}, value dim {}", s.length,
                                   s.queryHeads, s.kvHeads, s.keyDim, s.valueDim);
    if (s.rotaryDim > 0)
        text += fmt::format(", {} {}", nameOf(s.layout), s.rotaryDim);
    if (s.storage == KeyStorage::raw)
        text += ", raw keys";
    if (s.slopes)
        text += ", alibi";
    if (s.sinkLogits)
        text += ", sink logits";
    if (s.window > 0)
        text += fmt::format(", window {}", s.window);
    if (s.sinks > 0)
        text += fmt::format(", sinks {}", s.sinks);
    if (s.chunk > 0)
        text += fmt::format(", chunk {}", s.chunk);
    return text;
}

/// Values behind a word, the word in the plural for several; nothing for none.
std::string several(std::string_view word, std::set<std::size_t> const& values) {
    if (values.empty())
        return "";
    return fmt::format("; {}{} {}", word, values.size() > 1 ? "s" : "", fmt::join(values, " "));
}

/// Laws of real numbers and summaries of shapes get a short sign in the table and a line below it.
class Footnotes {
   public:
    std::size_t indexOf(std::string const& note) {
        auto const at = std::ranges::find(notes_, note);
        if (at == notes_.end())
            notes_.push_back(note);
        return static_cast<std::size_t>(std::ranges::find(notes_, note) - notes_.begin());
    }
    std::vector<std::string> const& all() const { return notes_; }

   private:
    std::vector<std::string> notes_;
};

std::string letterOf(std::size_t index) { return std::string(1, static_cast<char>('A' + index)); }
std::string theoryOf(std::size_t index) { return fmt::format("T{}", index + 1); }

struct LawTable {
    Catalog const& catalog;
    ShapeList shapes;
    std::size_t nameWidth, sentenceWidth;
    Footnotes theories{}, summaries{};

    std::string row(RegisteredLaw const& law) {
        std::string const proved =
            law.modulo.empty() ? "free" : theoryOf(theories.indexOf(law.modulo));
        std::string const sign =
            law.shapes.empty() ? "-" : letterOf(summaries.indexOf(summary(law.shapes)));
        std::string text =
            fmt::format("  {:<{}} {:<{}} {:<6} {:<6} {:<8} {}\n", law.name, nameWidth, law.sentence,
                        sentenceWidth, scopeName(law.scope), proved, owedName(law.owed), sign);
        std::vector<std::string> kills;
        for (auto const& bug : catalog.killedBy(law.name))
            kills.push_back(bug.name);
        text += wrapped(fmt::format("      kills {}", kills.empty()
                                                          ? "none yet"
                                                          : fmt::to_string(fmt::join(kills, ", "))),
                        12) +
                "\n";
        if (shapes == ShapeList::full)
            for (auto const& shape : law.shapes)
                text += "      " + shapeText(shape) + "\n";
        return text;
    }

    std::string legend() const {
        std::string text =
            "scope     spec: it relates the spec to itself; engine: it can convict an engine\n"
            "proved    free: both sides are the same term, so equal in every number system\n";
        for (std::size_t i = 0; i < theories.all().size(); ++i)
            text += fmt::format("          {}: modulo \"{}\", a law of the real numbers\n",
                                theoryOf(i), theories.all()[i]);
        text +=
            "owed      moves: rows only move, the same bits; computes: as exactly as declared\n"
            "          repeats, batches: the bits of another run, or batch, where declared\n";
        if (summaries.all().empty())
            return text +
                   "at        -: this program was linked without proofs/, so no shape is proved\n";
        text +=
            "at        the compiler that built this program proved it at these shapes, over "
            "symbols\n";
        for (std::size_t i = 0; i < summaries.all().size(); ++i)
            text += wrapped(fmt::format("          {}: {}", letterOf(i), summaries.all()[i]), 13) +
                    "\n";
        return text;
    }
};

std::size_t editDistance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i + 1;
        for (std::size_t j = 0; j < b.size(); ++j) {
            std::size_t const replaced = diagonal + (a[i] == b[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
        }
    }
    return row.back();
}

std::string scopeInWords(RegisteredLaw const& law) {
    if (law.scope == Scope::spec)
        return "spec. It relates the spec to itself: no engine can break it, a wrong spec can";
    return "engine. An engine can break it: kvspec check ENGINE --law " + law.name;
}
std::string provedInWords(RegisteredLaw const& law) {
    if (law.modulo.empty())
        return "free. Both sides are the same term, so they are equal in every number system";
    return "modulo \"" + law.modulo + "\". Both sides are equal once that law of the real " +
           "numbers is granted; in floats it may hold only approximately";
}
std::string owedInWords(RegisteredLaw const& law) {
    if (law.owed == Owed::moves)
        return "moves. Rows are stored and read back, so an engine owes the same bits";
    if (law.owed == Owed::repeats)
        return "repeats. An engine that declares itself deterministic owes the bits of its first "
               "run; another one owes nothing here";
    if (law.owed == Owed::repeatsInAnyBatch)
        return "batches. An engine that declares itself batch invariant owes the same bits however "
               "a sequence came to its rows; another one owes nothing here";
    return "computes. An engine owes the exact answer on probes, and elsewhere one in the "
           "interval that its declared numerics certify";
}
std::string killsInWords(std::vector<ZooBug> const& bugs) {
    if (bugs.empty())
        return "  kills     none yet: no bug of the zoo breaks this law first\n";
    std::string text;
    for (auto const& bug : bugs) {
        text += wrapped(fmt::format("  {:<9} bugs/{}: {}", text.empty() ? "kills" : "", bug.name,
                                    bug.story),
                        12) +
                "\n";
        if (!bug.tracker.empty())
            text += fmt::format("  {:<9}   a relative in the wild: {}\n", "", bug.tracker);
    }
    return text;
}

}  // namespace

std::vector<ZooBug> zooBugs() {
    std::vector<ZooBug> all;
    bugs::forEachBug([&]<class Bug>(Bug const&) {
        all.push_back({std::string(Bug::name), std::string(Bug::theorem), std::string(Bug::story),
                       std::string(Bug::tracker)});
    });
    return all;
}

RegisteredLaw const* Catalog::find(std::string_view law) const {
    auto const at = std::ranges::find(laws, law, &RegisteredLaw::name);
    return at == laws.end() ? nullptr : &*at;
}

std::vector<ZooBug> Catalog::killedBy(std::string_view law) const {
    std::vector<ZooBug> killed;
    std::ranges::copy_if(bugs, std::back_inserter(killed),
                         [&](ZooBug const& bug) { return bug.theorem == law; });
    return killed;
}

Catalog catalog() { return {properties::registry(), zooBugs()}; }

std::string printLaws(Catalog const& catalog, ShapeList shapes) {
    std::size_t name = 7, sentence = 8;  // at least as wide as their headings
    std::set<std::string> stems;
    for (auto const& law : catalog.laws) {
        name = std::max(name, law.name.size());
        sentence = std::max(sentence, law.sentence.size());
        stems.insert(law.stem);
    }
    LawTable table{catalog, shapes, name, sentence};
    std::string text =
        fmt::format("{} theorems in {} stems; a theorem of STEM stands in spec/STEM.hpp\n\n",
                    catalog.laws.size(), stems.size());
    text += fmt::format("  {:<{}} {:<{}} {:<6} {:<6} {:<8} at\n", "theorem", name, "sentence",
                        sentence, "scope", "proved", "owed");
    std::string stem;
    for (auto const& law : catalog.laws) {
        if (law.stem != stem)
            text += "\n" + law.stem + "\n";
        stem = law.stem;
        text += table.row(law);
    }
    return text + "\n" + table.legend();
}

OrderedJson lawsToJson(Catalog const& catalog) {
    OrderedJson out = OrderedJson::array();
    for (auto const& law : catalog.laws) {
        OrderedJson entry;
        entry["law"] = law.name;
        entry["sentence"] = law.sentence;
        entry["stem"] = law.stem;
        entry["scope"] = std::string(scopeName(law.scope));
        entry["free"] = law.modulo.empty();
        if (!law.modulo.empty())
            entry["modulo"] = law.modulo;
        entry["owed"] = std::string(owedName(law.owed));
        entry["shapes"] = OrderedJson::array();
        for (auto const& s : law.shapes)
            entry["shapes"].push_back({{"length", s.length},
                                       {"queryHeads", s.queryHeads},
                                       {"kvHeads", s.kvHeads},
                                       {"keyDim", s.keyDim},
                                       {"valueDim", s.valueDim},
                                       {"window", s.window},
                                       {"sinks", s.sinks},
                                       {"rotaryDim", s.rotaryDim},
                                       {"rotaryLayout", std::string(nameOf(s.layout))},
                                       {"keyStorage", std::string(nameOf(s.storage))},
                                       {"slopes", s.slopes},
                                       {"sinkLogits", s.sinkLogits},
                                       {"chunk", s.chunk}});
        entry["kills"] = OrderedJson::array();
        for (auto const& bug : catalog.killedBy(law.name))
            entry["kills"].push_back(bug.name);
        out.push_back(std::move(entry));
    }
    return out;
}

std::string explain(Catalog const& catalog, std::string_view name) {
    RegisteredLaw const* law = catalog.find(name);
    if (law == nullptr) {
        std::vector<std::string> names;
        for (auto const& known : catalog.laws)
            names.push_back(known.name);
        throw BadArgument(fmt::format("{} is no theorem; expected one that kvspec laws lists{}",
                                      quote(name), perhaps(name, names)));
    }
    auto const entry = [](std::string_view word, std::string const& text) {
        return wrapped(fmt::format("  {:<9} {}", word, text), 12) + "\n";
    };
    std::string const proved =
        law->shapes.empty()
            ? "at no shape: this program was linked without proofs/"
            : fmt::format("at {} shapes: {}", law->shapes.size(), summary(law->shapes));
    return fmt::format("{}: {}\n\n", law->name, law->sentence) +
           entry("scope", scopeInWords(*law)) + entry("proved", provedInWords(*law)) +
           entry("owed", owedInWords(*law)) + entry("compiled", proved) +
           killsInWords(catalog.killedBy(law->name)) +
           fmt::format(
               "  written   spec/{0}.hpp: the verb, the equation and the claim\n"
               "            proofs/{0}.cpp: the proof, by the compiler\n",
               law->stem) +
           (law->scope == Scope::spec
                ? ""
                : fmt::format("            properties/{}.hpp: the inputs that an engine is asked "
                              "at\n",
                              law->stem));
}

std::string summary(std::vector<ProvedShape> const& shapes) {
    std::set<std::size_t> lengths, windows, sinks, chunks;
    std::set<std::pair<std::size_t, std::size_t>> heads;
    bool turns = false, raw = false, biased = false, sinking = false;
    for (auto const& s : shapes) {
        lengths.insert(s.length);
        heads.insert({s.queryHeads, s.kvHeads});
        if (s.window > 0)
            windows.insert(s.window);
        if (s.sinks > 0)
            sinks.insert(s.sinks);
        if (s.chunk > 0)
            chunks.insert(s.chunk);
        turns = turns || s.rotaryDim > 0;
        raw = raw || s.storage == KeyStorage::raw;
        biased = biased || s.slopes;
        sinking = sinking || s.sinkLogits;
    }
    std::string text = several("length", lengths).erase(0, 2);
    if (!heads.empty())
        text += fmt::format("; up to {}:{} heads", heads.rbegin()->first, heads.rbegin()->second);
    for (auto const& [has, word] : {std::pair{turns, "rope"},
                                    {raw, "raw keys"},
                                    {biased, "alibi"},
                                    {sinking, "sink logits"}})
        if (has)
            text += fmt::format("; {}", word);
    return text + several("window", windows) + several("sink", sinks) +
           several("chunk", chunks);
}

std::vector<std::string> nearMisses(std::string_view word, std::vector<std::string> const& names) {
    std::vector<std::pair<std::size_t, std::string>> near;
    for (auto const& name : names) {
        std::size_t const distance = editDistance(word, name);
        bool const isPart = word.size() > 2 && name.find(word) != name.npos;
        if (isPart || 3 * distance <= name.size())
            near.push_back({isPart ? 0 : distance, name});
    }
    std::ranges::stable_sort(near, {}, &std::pair<std::size_t, std::string>::first);
    std::vector<std::string> nearest;
    for (auto const& [distance, name] : near)
        if (nearest.size() < 3)
            nearest.push_back(name);
    return nearest;
}

std::string perhaps(std::string_view word, std::vector<std::string> const& names) {
    auto const near = nearMisses(word, names);
    if (near.empty())
        return "";
    return fmt::format(", perhaps {}", oneOf({near.begin(), near.end()}));
}

std::string wrapped(std::string_view text, std::size_t indent, std::size_t width) {
    std::string out;
    while (text.size() > (out.empty() ? width : width - indent)) {
        std::size_t const room = out.empty() ? width : width - indent;
        std::size_t cut = text.rfind(' ', room);
        // A line of blanks and one long word stays whole.
        if (cut == text.npos || text.find_first_not_of(' ') > cut)
            cut = text.find(' ', room);
        if (cut == text.npos)
            break;
        out +=
            (out.empty() ? "" : std::string(indent, ' ')) + std::string(text.substr(0, cut)) + "\n";
        text.remove_prefix(cut + 1);
    }
    return out + (out.empty() ? "" : std::string(indent, ' ')) + std::string(text);
}

}  // namespace kv::oracle
