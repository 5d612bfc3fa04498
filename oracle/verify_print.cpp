#include "oracle/verify.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace kv::oracle {

namespace {

std::string placeText(RecordedPlace const& place) {
    std::string text = fmt::format("step {}, layer {}", place.step, place.layer);
    if (place.sequence != 0)
        text = fmt::format("sequence {}, {}", place.sequence, text);
    if (place.row)
        text += fmt::format(", row {}", *place.row);
    if (place.head)
        text += fmt::format(", head {}", *place.head);
    if (place.component)
        text += fmt::format(", component {}", *place.component);
    return text;
}

std::size_t count(VerifyReport const& report, VerifyOutcome outcome) {
    return static_cast<std::size_t>(
        std::count_if(report.laws.begin(), report.laws.end(),
                      [&](VerifiedLaw const& law) { return law.outcome == outcome; }));
}

std::string lawLine(VerifiedLaw const& law) {
    std::string text = fmt::format("  {:<14} {:<33} {:>4}/{:<4} {}", nameOf(law.outcome), law.name,
                                   law.reached, law.places, law.sentence);
    if (!law.note.empty())
        text += fmt::format("\n  {:<14} {}", "", law.note);
    return text + "\n";
}

/// What each missing tensor costs, one line a tensor.
std::string costText(VerifyReport const& report) {
    std::map<std::string, std::vector<std::string>> costs;
    for (auto const& law : report.laws)
        for (auto const& [tensor, places] : law.missing)
            costs[tensor].push_back(fmt::format("{} at {} of {} places", law.name, places,
                                                law.places));
    std::string text;
    for (auto const& [tensor, laws] : costs)
        text += fmt::format("missing   {}, so not checked: {}\n", tensor, fmt::join(laws, ", "));
    return text;
}

std::string verdict(VerifyReport const& report) {
    std::string text = report.holds() ? "held" : "not held";
    if (report.holds() && !report.reachesEnough())
        text = "too little";
    for (auto outcome : {VerifyOutcome::held, VerifyOutcome::violated, VerifyOutcome::vacuous,
                         VerifyOutcome::notReachable})
        text += fmt::format("{} {} {}", outcome == VerifyOutcome::held ? ":" : ",",
                            count(report, outcome), nameOf(outcome));
    if (!report.reachesEnough())
        text += "; expected appendKV_last_key, appendKV_last_value, appendKV_prefix and a law of "
                "outputs to be reached";
    return text + "\n";
}

OrderedJson toJson(RecordedPlace const& place) {
    OrderedJson out;
    out["step"] = place.step;
    out["line"] = place.line;
    out["sequence"] = place.sequence;
    out["layer"] = place.layer;
    for (auto const& [key, value] : {std::pair{"row", place.row}, std::pair{"head", place.head},
                                     std::pair{"component", place.component}})
        if (value)
            out[key] = *value;
    out["tensor"] = place.tensor;
    return out;
}

OrderedJson toJson(VerifiedLaw const& law) {
    OrderedJson out;
    out["law"] = law.name;
    out["sentence"] = law.sentence;
    out["outcome"] = std::string(nameOf(law.outcome));
    out["places"] = law.places;
    out["reached"] = law.reached;
    out["missing"] = law.missing;
    out["violations"] = law.violations;
    if (law.first) {
        OrderedJson& first = out["first"];
        first["place"] = toJson(law.first->place);
        first["what"] = law.first->what;
        first["got"] = law.first->got;
        first["want"] = law.first->want;
    }
    if (!law.note.empty())
        out["note"] = law.note;
    return out;
}

}  // namespace

std::string print(VerifyReport const& report, VerifiedLaw const& law) {
    if (!law.first)
        return {};
    auto const& [place, what, got, want] = *law.first;
    std::string const more =
        law.violations > 1 ? fmt::format("; it broke at {} places", law.violations) : "";
    // A digest stands in the trace itself.
    std::string const data =
        place.tensor.ends_with("Sha256")
            ? place.tensor
            : fmt::format("{} in {}", shortened(place.tensor), report.tensors);
    return fmt::format(
        "violated  {}: {}\n  where   {}: {}{}\n  numbers got {}, want {}\n  data    {}:{}, {}\n"
        "  again   {}\n",
        law.name, law.sentence, placeText(place), what, more, got, want, printable(report.trace),
        place.line, printable(data), printable(report.command));
}

std::string print(VerifyReport const& report) {
    std::string const model = report.model.empty() ? "" : ", " + report.model;
    std::string text = fmt::format(
        "{}\n{}{}: {} updates of {} tokens, {} layers, {} query heads\n\n",
        printable(report.trace), printable(report.engine), printable(model), report.steps,
        report.tokens, report.layers, report.heads);
    for (auto const& law : report.laws)
        text += lawLine(law);
    text += fmt::format("\ncompared  {} numbers bit for bit, {} with a certified interval\n",
                        report.bitwise, report.interval);
    if (report.widest.place)
        text += fmt::format("widest    +-{:.3g} of the outputs' rms (+-{:.3g}), at {}\n",
                            report.widest.relative, report.widest.radius,
                            placeText(*report.widest.place));
    if (report.widest.place)
        text += "unseen    an output that changes within its interval; a value that was changed "
                "wherever it\n          stands, if its outputs stay within theirs\n";
    text += costText(report);
    for (auto const& law : report.laws)
        if (law.first)
            text += "\n" + print(report, law);
    return text + "\n" + verdict(report);
}

OrderedJson toJson(VerifyReport const& report) {
    OrderedJson out;
    out["trace"] = report.trace;
    out["tensors"] = report.tensors;
    out["engine"] = report.engine;
    out["model"] = report.model;
    out["holds"] = report.holds();
    out["reachesEnough"] = report.reachesEnough();
    out["steps"] = report.steps;
    out["tokens"] = report.tokens;
    out["layers"] = report.layers;
    out["queryHeads"] = report.heads;
    out["comparedBitwise"] = report.bitwise;
    out["comparedWithInterval"] = report.interval;
    if (report.widest.place) {
        OrderedJson& widest = out["widest"];
        // JSON has no infinity: an undefined interval has no width.
        if (!(report.widest.radius < HUGE_VAL))
            widest["radius"] = widest["relative"] = nullptr;
        else
            widest = {{"radius", report.widest.radius}, {"relative", report.widest.relative}};
        widest["place"] = toJson(*report.widest.place);
    }
    out["laws"] = OrderedJson::array();
    for (auto const& law : report.laws)
        out["laws"].push_back(toJson(law));
    out["again"] = report.command;
    return out;
}

}  // namespace kv::oracle
